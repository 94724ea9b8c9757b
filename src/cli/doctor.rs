//! `dotcart doctor`: graphics adapters, their limits, and which engine `auto` takes and why.

use super::output::Output;
use super::{CommandResult, End};
use crate::device::{AdapterKind, adapters};
use crate::format::count;

pub fn run(output: &mut Output) -> CommandResult {
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
    Ok(End::Done)
}
