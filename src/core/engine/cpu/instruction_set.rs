//! Instruction sets: the same kernels compiled for several of them, the best one taken at run time.
//!
//! The kernels are plain loops over blocks of fixed length. Inlined into a function of a wider instruction set they become
//! wider instructions, but the same sums in the same order, and Rust never contracts a product and a sum into one rounding:
//! every instruction set gives the same bits. Where a kernel asks for a fused product by name, all sets that fuse give
//! the same ([`InstructionSet::fuses`]). On ARM the baseline has NEON already.

/// Work that is compiled once for each instruction set.
///
/// A trait and no closure: [`Work::run`] and all that it calls has to be `#[inline(always)]`, or it keeps to the baseline.
pub trait Work {
    fn run(self);
}

/// A set of vector instructions that this processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// What the binary was compiled for: SSE2 on x86-64, NEON on ARM.
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl InstructionSet {
    /// All that this processor has, the widest last.
    pub fn available() -> Vec<Self> {
        let mut sets = vec![Self::Baseline];
        #[cfg(target_arch = "x86_64")]
        {
            if has_avx2() {
                sets.push(Self::Avx2);
            }
            if has_avx512() {
                sets.push(Self::Avx512);
            }
        }
        sets
    }

    /// The widest that this processor has.
    pub fn best() -> Self {
        *Self::available().last().expect("there is always the baseline")
    }

    /// Whether it has an instruction for a product and a sum that are rounded once.
    pub fn fuses(self) -> bool {
        cfg!(target_arch = "aarch64") || self != Self::Baseline
    }

    /// Runs `work`, compiled for this set. Panics if the processor does not have it.
    #[inline]
    pub fn run(self, work: impl Work) {
        match self {
            Self::Baseline => work.run(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                assert!(has_avx2(), "InstructionSet: no AVX2 here");
                // SAFETY: the processor has it.
                unsafe { with_avx2(work) }
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                assert!(has_avx512(), "InstructionSet: no AVX-512 here");
                // SAFETY: the processor has it.
                unsafe { with_avx512(work) }
            }
        }
    }
}

/// Of the same year as fused products, which `super::product` asks for by name.
#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    has_avx2() && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2(work: impl Work) {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512vl")]
fn with_avx512(work: impl Work) {
    work.run()
}
