//! The two-way map between the ids of a file and dense indices, in order of first appearance.

use crate::common::interaction::DenseIndex;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::marker::PhantomData;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use xxhash_rust::xxh3::xxh3_64;

/// Ids as they stand in the file: strings, leading zeros kept.
///
/// All ids share one buffer: at four million users a string each would cost three times the memory.
#[derive(Clone, Debug)]
pub struct Vocabulary<Index> {
    text: Vec<u8>,
    /// `starts[i]..starts[i + 1]` is id `i`.
    starts: Vec<u64>,
    slots: HashTable<Slot>,
    kind: PhantomData<Index>,
}

/// What the hash table holds. With the hash beside the index, neither a growing table nor a slot of another id has to look at
/// text, which lies anywhere: at four million users that is most of the time of reading a file.
#[derive(Clone, Copy, Debug)]
struct Slot {
    hash: u32,
    index: u32,
}

impl Slot {
    /// The table wants 64 bits, and looks at the highest and the lowest.
    fn spread(hash: u32) -> u64 {
        u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

impl<Index> Default for Vocabulary<Index> {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            starts: vec![0],
            slots: HashTable::new(),
            kind: PhantomData,
        }
    }
}

impl<Index: DenseIndex> Vocabulary<Index> {
    /// The index of `id`, a new one if it is new. Panics past u32 indices.
    pub fn intern(&mut self, id: &str) -> Index {
        let next = u32::try_from(self.len()).expect("fewer than 2^32 ids");
        let hash = hash(id);
        let is_id = |slot: &Slot| slot.hash == hash && bytes_of(&self.text, &self.starts, slot.index) == id.as_bytes();
        let slot = self
            .slots
            .entry(Slot::spread(hash), is_id, |slot| Slot::spread(slot.hash));
        Index::new(match slot {
            Entry::Occupied(slot) => slot.get().index,
            Entry::Vacant(slot) => {
                slot.insert(Slot { hash, index: next });
                self.text.extend_from_slice(id.as_bytes());
                self.starts.push(self.text.len() as u64);
                next
            }
        })
    }

    /// The index of `id`, if it is known.
    pub fn index(&self, id: &str) -> Option<Index> {
        let hash = hash(id);
        let is_id = |slot: &Slot| slot.hash == hash && bytes_of(&self.text, &self.starts, slot.index) == id.as_bytes();
        let slot = self.slots.find(Slot::spread(hash), is_id);
        slot.map(|slot| Index::new(slot.index))
    }

    /// The id of an index. Panics if there is none.
    pub fn id(&self, index: Index) -> &str {
        std::str::from_utf8(bytes_of(&self.text, &self.starts, index.number())).expect("ids went in as text")
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is no id.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of all ids, end to end.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// All ids in index order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        (0..self.len() as u32).map(|index| self.id(Index::new(index)))
    }
}

/// A vocabulary that grows on a thread of its own while the caller reads on.
///
/// Looking up an id that may be anywhere in memory takes as long as reading its row.
#[derive(Debug)]
pub struct Interning<Index> {
    batch: Batch,
    batches: SyncSender<Batch>,
    worker: JoinHandle<(Vocabulary<Index>, Vec<Index>)>,
}

/// Ids on their way to the thread, end to end.
#[derive(Debug, Default)]
struct Batch {
    text: String,
    ends: Vec<usize>,
}

/// Enough that a wake-up costs nothing beside the work, few enough to stay in the cache.
const IDS_PER_BATCH: usize = 4096;
const BATCHES_AHEAD: usize = 4;

impl<Index: DenseIndex> Interning<Index> {
    /// Starts the thread. Panics if the system starts none.
    pub fn start() -> Self {
        let (batches, received) = sync_channel::<Batch>(BATCHES_AHEAD);
        let intern_all = move || {
            let (mut vocabulary, mut indices) = (Vocabulary::default(), Vec::new());
            for batch in received {
                let mut start = 0;
                for end in batch.ends {
                    indices.push(vocabulary.intern(&batch.text[start..end]));
                    start = end;
                }
            }
            (vocabulary, indices)
        };
        let worker = std::thread::Builder::new()
            .name("vocabulary".to_string())
            .spawn(intern_all);
        Self {
            batch: Batch::default(),
            batches,
            worker: worker.expect("the system starts threads"),
        }
    }

    /// Interns `id` after all that were pushed before.
    pub fn push(&mut self, id: &str) {
        self.batch.text.push_str(id);
        self.batch.ends.push(self.batch.text.len());
        if self.batch.ends.len() == IDS_PER_BATCH {
            self.send();
        }
    }

    /// The vocabulary, and the index of each id that was pushed. Panics past u32 indices.
    pub fn finish(mut self) -> (Vocabulary<Index>, Vec<Index>) {
        self.send();
        drop(self.batches);
        match self.worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    fn send(&mut self) {
        // A worker that is gone has panicked; `finish` passes that on.
        let _ = self.batches.send(std::mem::take(&mut self.batch));
    }
}

fn hash(id: &str) -> u32 {
    xxh3_64(id.as_bytes()) as u32
}

fn bytes_of<'a>(text: &'a [u8], starts: &[u64], index: u32) -> &'a [u8] {
    &text[starts[index as usize] as usize..starts[index as usize + 1] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::interaction::{ItemIndex, UserIndex};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_map_to_dense_indices_and_back(ids in prop::collection::vec("[0-9a-cé]{1,3}", 0..300)) {
            let mut vocabulary = Vocabulary::<ItemIndex>::default();
            let mut known: Vec<String> = Vec::new();
            for id in &ids {
                let index = vocabulary.intern(id).index();
                if index == known.len() {
                    known.push(id.clone());
                }
                prop_assert_eq!(&known[index], id);
            }
            prop_assert_eq!(vocabulary.ids().map(str::to_string).collect::<Vec<_>>(), known.clone());
            for (index, id) in known.iter().enumerate() {
                prop_assert_eq!(vocabulary.index(id), Some(ItemIndex(index as u32)));
            }
            prop_assert_eq!(vocabulary.index("absent"), None);
        }
    }

    proptest! {
        #[test]
        fn a_thread_interns_as_the_caller_would(numbers in prop::collection::vec(0u32..3000, 0..3 * IDS_PER_BATCH)) {
            let (mut here, mut there) = (Vocabulary::default(), Interning::<UserIndex>::start());
            let mut expected = Vec::new();
            for number in numbers {
                let id = number.to_string();
                expected.push(here.intern(&id));
                there.push(&id);
            }
            let (there, indices) = there.finish();
            prop_assert_eq!(indices, expected);
            prop_assert!(there.ids().eq(here.ids()));
        }
    }

    #[test]
    fn leading_zeros_make_another_id() {
        let mut vocabulary = Vocabulary::<ItemIndex>::default();
        assert_ne!(vocabulary.intern("0132793040"), vocabulary.intern("132793040"));
        assert_eq!(vocabulary.id(ItemIndex(0)), "0132793040");
    }
}
