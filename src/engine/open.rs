//! The one choice of an engine: what `cpu`, `gpu` and `auto` mean on this machine.
//!
//! `auto` takes a real GPU if there is one, and the cpu if there is none or only a software adapter. A real GPU that does not
//! open is no reason to stop, but one to tell.

use super::cpu::item_rows::ItemRows;
use super::cpu::{CpuScorer, CpuTrainer};
use super::gpu::device::{Adapter, AdapterKind, Gpu, adapters};
use super::gpu::scorer::GpuScorer;
use super::gpu::trainer::GpuTrainer;
use super::model::Head;
use super::ranker::{Catalogue, Ranker};
use super::{DeviceError, EngineError, Scorer, Trainer, TrainerSetup};
use crate::config::DeviceChoice;

/// The device that a choice comes to.
pub struct Opened<G = Gpu> {
    /// `None`: the cpu.
    pub gpu: Option<G>,
    /// Why it is not the real GPU that `auto` found.
    pub failure: Option<DeviceError>,
}

impl Opened {
    /// What ranks or trains, in words: two engines round their sums differently.
    pub fn name(&self) -> String {
        match self.gpu {
            Some(gpu) => gpu.adapter().to_string(),
            None => "cpu".to_string(),
        }
    }

    /// What people are told of a GPU that was found and not taken.
    pub fn warning(&self) -> Option<String> {
        let failure = self.failure.as_ref()?;
        Some(format!("the graphics device is not used, the cpu is: {failure}"))
    }
}

/// Opens the device of a choice; a process opens it once. Errors if the choice is `gpu` and there is none, or it fails.
pub fn device(choice: DeviceChoice) -> Result<Opened, DeviceError> {
    choose(choice, Gpu::open)
}

fn choose<G>(
    choice: DeviceChoice,
    open: impl FnOnce(bool) -> Result<G, DeviceError>,
) -> Result<Opened<G>, DeviceError> {
    let (gpu, failure) = match choice {
        DeviceChoice::Cpu => (None, None),
        DeviceChoice::Gpu => (Some(open(true)?), None),
        DeviceChoice::Auto => match open(false) {
            Ok(gpu) => (Some(gpu), None),
            Err(DeviceError::NoAdapter(_)) => (None, None),
            Err(failure) => (None, Some(failure)),
        },
    };
    Ok(Opened { gpu, failure })
}

/// The adapter that a choice will open, asked without opening it; `None` for the cpu, or if there is none.
pub fn adapter(choice: DeviceChoice) -> Option<Adapter> {
    let software_allowed = match choice {
        DeviceChoice::Cpu => return None,
        DeviceChoice::Auto => false,
        DeviceChoice::Gpu => true,
    };
    let best = adapters().into_iter().find(Adapter::is_usable);
    best.filter(|adapter| software_allowed || adapter.kind != AdapterKind::Software)
}

/// An untrained engine. `threads` of the cpu engine: 0 = one a core.
pub fn trainer(choice: DeviceChoice, setup: &TrainerSetup, threads: usize) -> Result<Box<dyn Trainer>, EngineError> {
    Ok(match device(choice)?.gpu {
        Some(gpu) => Box::new(GpuTrainer::new(gpu, setup, None)?),
        None => Box::new(CpuTrainer::new(setup, threads)),
    })
}

/// A scorer over item rows. `threads` of the cpu engine: 0 = one a core.
pub fn scorer(
    choice: DeviceChoice,
    head: Head,
    rows: ItemRows<'_>,
    threads: usize,
) -> Result<Box<dyn Scorer + '_>, EngineError> {
    Ok(match device(choice)?.gpu {
        Some(gpu) => Box::new(GpuScorer::from_rows(gpu, head, rows)?),
        None => Box::new(CpuScorer::from_rows(head, rows, threads)),
    })
}

/// A ranker over a catalogue. `threads` of the cpu engine: 0 = one a core.
pub fn ranker(choice: DeviceChoice, catalogue: Catalogue<'_>, threads: usize) -> Result<Ranker<'_>, EngineError> {
    let (head, rows) = catalogue.leading_rows();
    Ok(Ranker::new(catalogue, scorer(choice, head, rows, threads)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_goes_without_a_gpu_and_keeps_why_a_real_one_did_not_open() {
        let none = || DeviceError::NoAdapter("no driver offers one".to_string());
        let broken = || DeviceError::Failed {
            doing: "opening the adapter",
            message: "out of memory".to_string(),
        };
        let auto = |result: Result<(), DeviceError>| {
            choose(DeviceChoice::Auto, |software_allowed| {
                assert!(!software_allowed);
                result
            })
        };
        let opened = auto(Ok(())).unwrap();
        assert!(opened.gpu.is_some() && opened.failure.is_none());
        let opened = auto(Err(none())).unwrap();
        assert!(opened.gpu.is_none() && opened.failure.is_none());
        let opened = auto(Err(broken())).unwrap();
        assert!(opened.gpu.is_none() && opened.failure.is_some());
        // Who asks for a GPU gets one or an error, and who asks for the cpu wakes no driver.
        assert!(choose(DeviceChoice::Gpu, |_| Err::<(), _>(broken())).is_err());
        choose::<()>(DeviceChoice::Cpu, |_| panic!("opened a device")).unwrap();
    }

    #[test]
    fn what_people_are_told_names_the_cpu_and_the_fault() {
        let failure = Some(DeviceError::Failed {
            doing: "opening the adapter",
            message: "out of memory".to_string(),
        });
        let opened = Opened { gpu: None, failure };
        assert_eq!(opened.name(), "cpu");
        assert_eq!(
            opened.warning().unwrap(),
            "the graphics device is not used, the cpu is: the device failed while opening the adapter: out of memory"
        );
    }
}
