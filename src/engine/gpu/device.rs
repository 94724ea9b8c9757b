//! The graphics device: which adapters there are, the one that this process opens, and its memory.
//!
//! A process opens at most one device, on the best adapter: discrete before integrated before virtual before software.
//! It gives every buffer its own allocation (burn's *exclusive pages*): wgpu refuses a dispatch that reads one part of a
//! buffer and writes another, so `var<storage, read>` would not work on shared ones.
//!
//! All work goes through one queue of cubecl, whatever thread it comes from. By default cubecl has a queue for every thread
//! and orders two of them only where the *calling* thread touches a buffer of the other; an engine that moves between
//! threads could overtake itself. With one queue, work and transfers run in the order in which they were called.
//!
//! This file and `launch` are the only ones that name wgpu or cubecl.
//! Errors: no adapter, a request beyond the adapter's limits, a failure that the device reports when it is read.

use crate::common::system_memory::prefer_huge_pages;
use crate::engine::DeviceError;
use burn::cubecl::Device;
use burn::cubecl::client::Client;
use burn::cubecl::server::{Handle, ServerError};
use burn::tensor::{Bytes, StreamId, read_sync};
use burn_wgpu::{MemoryConfiguration, RuntimeOptions, WgpuSetup, try_init_device, wgpu};
use serde::Serialize;
use std::ops::Range;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What sort of machine an adapter is, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AdapterKind {
    Discrete,
    Integrated,
    Virtual,
    Other,
    /// The CPU in disguise: Mesa's lavapipe, SwiftShader, WARP.
    Software,
}

impl AdapterKind {
    /// In one lower-case word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Discrete => "discrete",
            Self::Integrated => "integrated",
            Self::Virtual => "virtual",
            Self::Other => "other",
            Self::Software => "software",
        }
    }
}

/// An adapter in words and numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Adapter {
    pub name: String,
    pub kind: AdapterKind,
    /// The graphics API that it is reached through: `vulkan`, `metal`, `dx12`.
    pub api: String,
    /// Driver name and version; may be empty.
    pub driver: String,
    /// The largest buffer that a kernel can be given, in bytes.
    pub max_buffer_bytes: u64,
    /// Buffers that a kernel can be given at once.
    pub max_storage_buffers: u32,
    /// Workgroup memory of a kernel, in bytes.
    pub max_workgroup_bytes: u32,
    /// Workgroups of a launch, in each dimension.
    pub max_workgroups: u32,
    /// Threads of a workgroup.
    pub max_workgroup_threads: u32,
}

impl Adapter {
    fn new(adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let limits = adapter.limits();
        Self {
            name: info.name,
            kind: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
                wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
                wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
                wgpu::DeviceType::Cpu => AdapterKind::Software,
                wgpu::DeviceType::Other => AdapterKind::Other,
            },
            api: info.backend.to_string(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            max_buffer_bytes: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size),
            max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
            max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
            max_workgroups: limits.max_compute_workgroups_per_dimension,
            max_workgroup_threads: limits
                .max_compute_invocations_per_workgroup
                .min(limits.max_compute_workgroup_size_x),
        }
    }

    /// Whether the kernels fit: WebGPU's guaranteed minimum, which every Vulkan, Metal and DX12 device of the last decade has.
    pub fn is_usable(&self) -> bool {
        self.max_storage_buffers >= 8
            && self.max_workgroup_bytes >= 16_384
            && self.max_workgroups >= 65_535
            && self.max_workgroup_threads >= 256
    }
}

impl std::fmt::Display for Adapter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(formatter, "{} ({}, {})", self.name, self.kind.name(), self.api)
    }
}

/// The adapters of this machine, best first; none where there is no driver.
///
/// The instance is made once: Vulkan loaders crash when instances come and go on several threads.
fn found() -> &'static (wgpu::Instance, Vec<(Adapter, wgpu::Adapter)>) {
    static FOUND: OnceLock<(wgpu::Instance, Vec<(Adapter, wgpu::Adapter)>)> = OnceLock::new();
    FOUND.get_or_init(|| {
        let instance = instance();
        let mut adapters: Vec<_> = read_sync(instance.enumerate_adapters(wgpu::Backends::PRIMARY))
            .into_iter()
            .map(|adapter| (Adapter::new(&adapter), adapter))
            .collect();
        adapters.sort_by_key(|(adapter, _)| adapter.kind);
        (instance, adapters)
    })
}

fn instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends: wgpu::Backends::PRIMARY,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    })
}

/// The adapters of this machine, best first; none where there is no driver.
pub fn adapters() -> Vec<Adapter> {
    found().1.iter().map(|(adapter, _)| adapter.clone()).collect()
}

/// The open device. Copies are the same device, on any thread.
#[derive(Clone, Copy)]
pub struct Gpu(&'static Open);

struct Open {
    adapter: Adapter,
    device: wgpu::Device,
    copies: wgpu::Queue,
    client: Client,
    stream: StreamId,
    launches: AtomicUsize,
    /// Bytes written since the device was last waited for.
    staged: AtomicUsize,
}

/// Calls that cubecl hands to its device thread in one go. A caller who finds no room for another spins for it, for
/// milliseconds, on a core that a software driver could use.
const CALLS_AT_ONCE: usize = 32;
/// Bytes that may be written before the caller waits for the device: until a submission ends they lie in a buffer of wgpu's
/// as well, and as long as nothing is launched there is none.
const STAGED_AT_ONCE: usize = 64 << 20;
/// Launches after which the caller sleeps until the device thread has taken them over.
const LAUNCHES_AT_ONCE: usize = CALLS_AT_ONCE - 8;

impl Gpu {
    /// The device on the best adapter, opened at the first call; a software adapter only if it is allowed.
    pub fn open(software_allowed: bool) -> Result<Self, DeviceError> {
        let usable = found().1.iter().find(|(adapter, _)| adapter.is_usable());
        let Some((summary, adapter)) = usable else {
            let found = match found().1.as_slice() {
                [] => "no driver offers one".to_owned(),
                [(best, _), ..] => format!("{best} lacks what the kernels need"),
            };
            return Err(DeviceError::NoAdapter(found));
        };
        if summary.kind == AdapterKind::Software && !software_allowed {
            return Err(DeviceError::NoAdapter(format!("{summary} is software")));
        }
        static OPEN: OnceLock<Result<Open, DeviceError>> = OnceLock::new();
        match OPEN.get_or_init(|| open(summary, adapter)) {
            Ok(open) => Ok(Self(open)),
            Err(error) => Err(error.clone()),
        }
    }

    /// The adapter that the device is on.
    pub fn adapter(&self) -> &'static Adapter {
        &self.0.adapter
    }

    /// Runs `work` with cubecl's client on the one queue.
    pub(crate) fn queue<T>(&self, work: impl FnOnce(&'static Client) -> T) -> T {
        let open = self.0;
        open.stream.executes(|| work(&open.client))
    }

    /// To be called after each launch: hands over those so far, now and then, and waits for that, not for the device's work.
    pub(crate) fn pace(&self) {
        let launches = self.0.launches.fetch_add(1, Ordering::Relaxed) + 1;
        if launches.is_multiple_of(LAUNCHES_AT_ONCE) {
            // A failure stays with the buffers of the launches and shows when they are read.
            let _ = self.queue(|client| client.flush());
        }
    }

    /// Runs `work` and returns for how many seconds the device was busy with what it queued, by the device's own clock where
    /// it has one. Waits for it. Fails if that is nothing.
    pub fn time<E: From<DeviceError>>(&self, work: impl FnOnce() -> Result<(), E>) -> Result<f64, E> {
        let failed = |message: String| DeviceError::Failed {
            doing: "timing a stage",
            message,
        };
        let window = self.queue(|client| client.profile_start());
        let window = window.map_err(|error| failed(error.to_string()))?;
        if let Err(error) = work() {
            self.queue(|client| client.profile_abandon(window));
            return Err(error);
        }
        let duration = self.queue(|client| client.profile_end(window));
        let duration = duration.map_err(|error| failed(error.to_string()))?;
        let ticks = read_sync(duration.resolve());
        let ticks = ticks.ok_or_else(|| failed("the device said nothing".to_owned()))?;
        Ok(ticks.duration().as_secs_f64())
    }

    /// Bytes read plus bytes written a second while the device copies a buffer of 256 MiB, or its largest, at its best.
    pub fn copy_bytes_per_second(&self) -> Result<f64, DeviceError> {
        const BYTES: u64 = 256 << 20;
        const COPIES: u32 = 4;
        const LONG_ENOUGH: Duration = Duration::from_millis(500);
        let open = self.0;
        let size = BYTES.min(open.adapter.max_buffer_bytes);
        let buffer = |usage| {
            let descriptor = wgpu::BufferDescriptor {
                label: Some("copies"),
                size,
                usage,
                mapped_at_creation: false,
            };
            open.device.create_buffer(&descriptor)
        };
        let from = buffer(wgpu::BufferUsages::COPY_SRC);
        let to = buffer(wgpu::BufferUsages::COPY_DST);
        let pass = || {
            let mut encoder = open
                .device
                .create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            (0..COPIES).for_each(|_| encoder.copy_buffer_to_buffer(&from, 0, &to, 0, size));
            let start = Instant::now();
            open.copies.submit([encoder.finish()]);
            let waited = open.device.poll(wgpu::PollType::wait_indefinitely());
            waited.map(|_| start.elapsed().as_secs_f64())
        };
        let failed = |error: wgpu::PollError| DeviceError::Failed {
            doing: "copying a buffer",
            message: error.to_string(),
        };
        // The first pass clears both buffers as well.
        pass().map_err(failed)?;
        let (start, mut best) = (Instant::now(), f64::INFINITY);
        while start.elapsed() < LONG_ENOUGH || best.is_infinite() {
            best = best.min(pass().map_err(failed)?);
        }
        Ok(2.0 * f64::from(COPIES) * size as f64 / best)
    }

    /// Fails if `words` do not fit one buffer; `what` names them.
    pub fn check_fits(&self, what: &'static str, words: usize) -> Result<(), DeviceError> {
        let needed = words as u64 * WORD as u64;
        let limit = self.0.adapter.max_buffer_bytes;
        if needed > limit {
            return Err(DeviceError::TooLarge { what, needed, limit });
        }
        Ok(())
    }

    /// A buffer of `words` undefined words; `what` names it in errors.
    pub fn empty(&self, what: &'static str, words: usize) -> Result<Buffer, DeviceError> {
        self.check_fits(what, words)?;
        let handle = self.queue(|client| client.empty(words.max(MIN_WORDS) * WORD));
        Ok(Buffer { handle, words })
    }

    /// As [`Gpu::empty`], in an allocation that no pool rounds up or keeps: for the large and long-lived.
    pub fn empty_table(&self, what: &'static str, words: usize) -> Result<Buffer, DeviceError> {
        self.check_fits(what, words)?;
        let bytes = words.max(MIN_WORDS) * WORD;
        let handle = self.queue(|client| client.memory_dedicated_allocation((), |()| client.empty(bytes)));
        Ok(Buffer { handle, words })
    }

    /// A buffer that holds `data`; `what` names it in errors.
    pub fn upload<T: Word>(&self, what: &'static str, mut data: Vec<T>) -> Result<Buffer, DeviceError> {
        let words = data.len();
        self.check_fits(what, words)?;
        data.resize(words.max(MIN_WORDS), T::zeroed());
        let handle = self.queue(|client| client.create(Bytes::from_elems(data)));
        Ok(Buffer { handle, words })
    }

    /// Replaces what `buffer` (or the part that it is) holds; waits now and then, so that a table can be written in a row.
    ///
    /// Panics if the lengths differ.
    pub fn write<T: Word>(&self, buffer: &Buffer, data: Vec<T>) {
        assert_eq!(buffer.words, data.len(), "Gpu::write: buffer and data differ in length");
        if data.is_empty() {
            return;
        }
        let bytes = data.len() * WORD;
        self.queue(|client| client.write(&buffer.handle, Bytes::from_elems(data)));
        if self.0.staged.fetch_add(bytes, Ordering::Relaxed) + bytes > STAGED_AT_ONCE {
            self.0.staged.store(0, Ordering::Relaxed);
            // Of all calls only a read submits what was written. A failure stays with the buffer.
            drop(self.read(&[&buffer.part(0..1)]));
        }
    }

    /// Asks the system to put buffers that were made and not yet written into huge pages, on a software adapter: there they
    /// are memory of this process, and a table's rows are anywhere in them.
    pub fn prefer_huge_pages(&self) {
        if self.0.adapter.kind == AdapterKind::Software {
            // They exist once the device thread has caught up; a failure stays with them.
            let _ = self.queue(|client| client.flush());
            prefer_huge_pages();
        }
    }

    /// Queues a copy of buffers to the host and returns without waiting; later work does not change what arrives.
    pub fn read(&self, buffers: &[&Buffer]) -> Pending {
        let handles = buffers.iter().map(|buffer| buffer.handle.clone()).collect();
        Pending {
            words: buffers.iter().map(|buffer| buffer.words).collect(),
            bytes: Some(Box::pin(self.queue(|client| client.read_async(handles)))),
        }
    }
}

const WORD: usize = size_of::<u32>();
/// A binding of vec4 wants 16 bytes, even where nothing is in it.
const MIN_WORDS: usize = 4;

/// What buffers hold: 32-bit words.
pub trait Word: bytemuck::Pod + Send + Sync {}
impl Word for u32 {}
impl Word for f32 {}

/// Words on the device. Clones are the same memory, which is given back with the last of them.
#[derive(Clone, Debug)]
pub struct Buffer {
    pub(crate) handle: Handle,
    words: usize,
}

impl Buffer {
    /// Its length in words.
    pub fn len(&self) -> usize {
        self.words
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.words == 0
    }

    /// A part of it, for transfers alone: kernels want whole buffers. Panics if the part is empty or beyond the end.
    pub fn part(&self, words: Range<usize>) -> Self {
        assert!(
            words.start < words.end && words.end <= self.words,
            "Buffer::part: {words:?} of {} words",
            self.words
        );
        let end = self.handle.size_in_used() as usize - words.end * WORD;
        Self {
            handle: self
                .handle
                .clone()
                .offset_start((words.start * WORD) as u64)
                .offset_end(end as u64),
            words: words.len(),
        }
    }
}

/// A copy to the host that is on its way.
///
/// Dropped unread it is waited for all the same: cubecl would hand its buffer on while it is still mapped, and the device
/// would fail at the next read of anything.
pub struct Pending {
    /// None once it has been waited for.
    bytes: Option<Copies>,
    words: Vec<usize>,
}

type Copies = Pin<Box<dyn Future<Output = Result<Vec<Bytes>, ServerError>> + Send>>;

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(bytes) = self.bytes.take() {
            // Nobody wants to know any more.
            let _ = read_sync(bytes);
        }
    }
}

impl Pending {
    /// Waits for the copies, one `Vec` a buffer; `doing` says what for.
    ///
    /// This is where a failure of anything that wrote the buffers shows.
    pub fn wait<T: Word>(mut self, doing: &'static str) -> Result<Vec<Vec<T>>, DeviceError> {
        let bytes = self.bytes.take().expect("waiting takes the copies, and only once");
        let copies = read_sync(bytes).map_err(|error| DeviceError::Failed {
            doing,
            message: error.to_string(),
        })?;
        let to_words = |(bytes, &words): (Bytes, &usize)| {
            let mut copy = bytemuck::pod_collect_to_vec::<u8, T>(&bytes);
            copy.truncate(words);
            copy
        };
        Ok(copies.into_iter().zip(&self.words).map(to_words).collect())
    }

    /// Waits for the copy of a single buffer. Panics if there were several.
    pub fn wait_one<T: Word>(self, doing: &'static str) -> Result<Vec<T>, DeviceError> {
        assert_eq!(self.words.len(), 1, "Pending::wait_one: not one buffer");
        Ok(self.wait(doing)?.remove(0))
    }
}

fn open(summary: &Adapter, adapter: &wgpu::Adapter) -> Result<Open, DeviceError> {
    let failed = |message: String| DeviceError::Failed {
        doing: "opening the adapter",
        message,
    };
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("dotcart"),
        // No feature beyond the core; cubecl times with timestamps wherever the adapter has them.
        required_features: adapter.features() & wgpu::Features::TIMESTAMP_QUERY,
        required_limits: adapter.limits(),
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        ..Default::default()
    };
    let (device, queue) = read_sync(adapter.request_device(&descriptor)).map_err(|error| failed(error.to_string()))?;
    let setup = WgpuSetup {
        instance: found().0.clone(),
        adapter: adapter.clone(),
        device: device.clone(),
        queue: queue.clone(),
        backend: adapter.get_info().backend,
    };
    let defaults = RuntimeOptions::try_default().map_err(|error| failed(error.to_string()))?;
    let options = RuntimeOptions {
        memory_config: MemoryConfiguration::ExclusivePages,
        ..defaults
    };
    let device_of_cubecl = try_init_device(setup, options).map_err(|error| failed(error.to_string()))?;
    Ok(Open {
        adapter: summary.clone(),
        device,
        copies: queue,
        client: Device::from(device_of_cubecl).client(),
        stream: StreamId::allocate(),
        launches: AtomicUsize::new(0),
        staged: AtomicUsize::new(0),
    })
}
