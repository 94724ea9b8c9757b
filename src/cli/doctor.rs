//! `dotcart doctor`: graphics adapters, their limits, which engine `auto` takes and why; whether a training fits. `--prove` is in
//! [`super::prove`].

use super::args::DoctorArguments;
use super::output::{Output, memory_line};
use super::progress::Bar;
use super::{CommandResult, End, prove};
use dotcart::common::format::{count, mebibytes};
use dotcart::common::system_memory::room;
use dotcart::config::{Assignment, Config};
use dotcart::engine::gpu::device::{AdapterKind, adapters};
use dotcart::flow::pipeline;
use dotcart::flow::prepare::check_memory;

pub fn run(arguments: &DoctorArguments, output: &mut Output) -> CommandResult {
    if arguments.prove {
        return prove::run(arguments.out.as_deref(), output);
    }
    let adapters = adapters();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    output.data(&format!("cpu engine   {threads} threads"));
    if adapters.is_empty() {
        output.data("gpu engine   no graphics adapter: there is no Vulkan, Metal or DX12 driver");
    }
    for adapter in &adapters {
        output.data(&format!(
            "gpu engine   {adapter}{}",
            if adapter.is_usable() {
                ""
            } else {
                ", too small for the kernels"
            }
        ));
        if !adapter.driver.is_empty() {
            output.data(&format!("             driver {}", adapter.driver));
        }
        output.data(&format!(
            "             {} MiB a buffer: {} rows a page at dim 64; {} buffers and {} KiB of workgroup memory a kernel",
            count((adapter.max_buffer_bytes >> 20) as usize),
            count(adapter.max_buffer_bytes as usize / 4 / (4 + 3 * 64)),
            adapter.max_storage_buffers,
            adapter.max_workgroup_bytes >> 10,
        ));
    }
    output.data("");
    // The adapters come best first, and a device is opened on the first that the kernels fit.
    let verdict = match adapters.iter().find(|adapter| adapter.is_usable()) {
        None => "device = \"auto\" takes the cpu engine: no adapter can run the kernels".to_string(),
        Some(adapter) if adapter.kind == AdapterKind::Software => {
            format!(
                "device = \"auto\" takes the cpu engine: {} is software, the cpu in disguise",
                adapter.name
            )
        }
        Some(adapter) => format!(
            "device = \"auto\" takes the gpu engine on {}: a {} GPU",
            adapter.name,
            adapter.kind.name()
        ),
    };
    output.data(&verdict);
    if let Some(room) = room() {
        output.data(&format!(
            "memory       {} for a training ({})",
            mebibytes(room.bytes),
            room.because
        ));
    }
    if let Some(path) = &arguments.config {
        let mut assignments = Vec::new();
        for text in &arguments.set {
            assignments.push(Assignment::parse(text)?);
        }
        let config = Config::load(path, &assignments)?;
        let path_is_explicit = assignments.iter().any(Assignment::names_path);
        let loaded = pipeline::load(&config, path_is_explicit, &Bar::new())?;
        let need = check_memory(&config, &loaded.prepared)?;
        output.data(&format!("training     fits: {}", memory_line(&need)));
    }
    Ok(End::Done)
}
