//! Launching a kernel: what it binds, its parameters, how many workgroups.
//!
//! A kernel's storage buffers are bindings `0..n` in the order of its [`KernelSpec`]; its `Params` come last, as a uniform
//! at binding `n`: the order in which cubecl binds them.
//! A launch is queued, not waited for; what goes wrong in it shows when something that it wrote is read.

use crate::engine::gpu::device::{Buffer, Gpu};
use crate::engine::gpu::shader::{Constant, Shader, compose};
use burn::cubecl::CubeCount;
use burn::cubecl::prelude::{ExecutionMode, KernelId};
use burn::cubecl::server::{KernelArguments, MetadataBindingInfo};
use burn_wgpu::{CubeDim, KernelSource, SourceKernel, SourceTemplate};
use std::sync::Arc;

/// One storage buffer of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    pub name: &'static str,
    pub writable: bool,
}

/// A buffer that a kernel reads.
pub const fn input(name: &'static str) -> Binding {
    Binding { name, writable: false }
}

/// A buffer that a kernel writes.
pub const fn output(name: &'static str) -> Binding {
    Binding { name, writable: true }
}

/// Fields of a `Params` struct with their byte offsets, and its size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    pub fields: &'static [(&'static str, usize)],
    pub size: usize,
}

/// What Rust and WGSL have to agree on.
#[derive(Clone, Copy, Debug)]
pub struct KernelSpec {
    pub shader: Shader,
    pub bindings: &'static [Binding],
    pub params: Layout,
    /// Threads of a workgroup; `None` where the constant `TEAM_THREADS` of its prelude says it.
    pub workgroup: Option<u32>,
}

impl KernelSpec {
    /// Threads of a workgroup in a shader with that prelude. Panics if no constant says it.
    pub fn threads(&self, constants: &[Constant]) -> u32 {
        let of_teams = || {
            constants.iter().find_map(|constant| match *constant {
                Constant::U32("TEAM_THREADS", value) => Some(value),
                _ => None,
            })
        };
        let threads = self.workgroup.or_else(of_teams);
        threads.unwrap_or_else(|| panic!("{}: no constant `TEAM_THREADS`", self.shader.name))
    }
}

/// Declares a kernel's `Params`: plain words in the order of the WGSL struct of that name, with their layout.
macro_rules! params {
    ($(#[$outer:meta])* pub struct Params { $($(#[$inner:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$outer])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, bytemuck::Pod, bytemuck::Zeroable)]
        pub struct Params { $($(#[$inner])* pub $field: $type,)* }

        impl Params {
            pub const LAYOUT: $crate::engine::gpu::launch::Layout = $crate::engine::gpu::launch::Layout {
                fields: &[$((stringify!($field), std::mem::offset_of!(Params, $field)),)*],
                size: size_of::<Params>(),
            };
        }
    };
}
pub(crate) use params;

/// A kernel for one set of constants.
#[derive(Clone, Debug)]
pub struct Kernel {
    spec: &'static KernelSpec,
    /// Threads of a workgroup.
    workgroup: u32,
    text: Arc<str>,
    digest: u64,
}

impl Kernel {
    /// Composes the kernel's shader. Panics as [`KernelSpec::threads`] does.
    pub fn new(spec: &'static KernelSpec, constants: &[Constant]) -> Self {
        let text = compose(&spec.shader, constants);
        let digest = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
        Self {
            spec,
            workgroup: spec.threads(constants),
            text: text.into(),
            digest,
        }
    }
}

impl KernelSource for Kernel {
    fn source(&self) -> SourceTemplate {
        SourceTemplate::new(&*self.text)
    }

    /// Compiled kernels are kept by this, so it tells any two texts apart.
    ///
    /// Unchecked means without a counter in every loop that ends it after 2^64 turns, and without a check of every index: the
    /// shaders' loops have bounds that the host knows, and they check what a plan says before they follow it.
    fn id(&self) -> KernelId {
        let id = KernelId::new::<Self>().info((self.spec.shader.name, self.digest));
        id.mode(ExecutionMode::Unchecked)
    }

    fn lang(&self) -> &'static str {
        "wgsl"
    }
}

/// Workgroups that fit one dimension of a dispatch on any adapter.
const MAX_PER_DIMENSION: u32 = 65_535;

/// Folds workgroups into two dimensions, with at most a few too many; `shaders/common/dispatch.wgsl` unfolds them.
pub fn fold(workgroups: u32) -> (u32, u32) {
    let y = workgroups.div_ceil(MAX_PER_DIMENSION).max(1);
    (workgroups.div_ceil(y), y)
}

impl Gpu {
    /// Queues a kernel over `workgroups` workgroups; none is no launch.
    ///
    /// Panics if `buffers` are not as many as the kernel binds, or there are more workgroups than a u32 counts.
    pub fn launch<P: bytemuck::NoUninit>(&self, kernel: &Kernel, buffers: &[&Buffer], params: &P, workgroups: usize) {
        assert_eq!(
            buffers.len(),
            kernel.spec.bindings.len(),
            "{}: buffers and bindings differ in number",
            kernel.spec.shader.name
        );
        let workgroups = u32::try_from(workgroups)
            .unwrap_or_else(|_| panic!("{}: {workgroups} workgroups do not fit u32", kernel.spec.shader.name));
        if workgroups == 0 {
            return;
        }
        let (x, y) = fold(workgroups);
        let words = bytemuck::pod_collect_to_vec(bytemuck::bytes_of(params));
        let arguments = KernelArguments::new()
            .with_buffers(buffers.iter().map(|buffer| buffer.handle.clone().binding()).collect())
            .with_info(MetadataBindingInfo::custom(words));
        let source = SourceKernel::new(kernel.clone(), CubeDim::new_1d(kernel.workgroup));
        self.queue(|client| client.launch(Box::new(source), CubeCount::Static(x, y, 1), arguments));
        self.pace();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_dispatches_cover_all_workgroups_with_few_to_spare() {
        for workgroups in [1, 2, 65_535, 65_536, 65_537, 131_070, 131_071, 1_000_003, u32::MAX / 2] {
            let (x, y) = fold(workgroups);
            let covered = x as u64 * y as u64;
            assert!(
                x <= MAX_PER_DIMENSION && y <= MAX_PER_DIMENSION,
                "{workgroups}: {x} x {y}"
            );
            assert!(covered >= workgroups as u64 && covered - (workgroups as u64) < y as u64);
        }
    }
}
