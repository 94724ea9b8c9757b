//! A table in memory: its rows in huge pages where the system gives them.
//!
//! A batch's rows lie anywhere in gigabytes. With pages of 4 KiB nearly each row costs a walk through page tables that do not
//! fit a cache either; with pages of 2 MiB those of a whole table do.

use memmap2::MmapMut;

/// Words of a table, all zero at first. The system gives memory as it is written.
#[derive(Debug)]
pub struct Table(MmapMut);

impl Table {
    /// Room for `words` words. Panics if the system has no such address space.
    pub fn zeroed(words: usize) -> Self {
        let bytes = (words * size_of::<f32>()).max(1);
        let memory = MmapMut::map_anon(bytes).expect("the system has room for the tables");
        // Where the system has none to give, or does not know the word, small pages are as good.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        Self(memory)
    }

    /// All words.
    pub fn words(&self) -> &[f32] {
        let bytes = &self.0[..self.0.len() / size_of::<f32>() * size_of::<f32>()];
        bytemuck::cast_slice(bytes)
    }

    /// All words, to be written.
    pub fn words_mut(&mut self) -> &mut [f32] {
        let end = self.0.len() / size_of::<f32>() * size_of::<f32>();
        bytemuck::cast_slice_mut(&mut self.0[..end])
    }
}
