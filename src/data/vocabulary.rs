//! The two-way map between the ids of a file and dense indices, in order of first appearance.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64;

/// Ids as they stand in the file: strings, leading zeros kept.
///
/// All ids share one buffer: at four million users a string each would cost three times the memory.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    text: Vec<u8>,
    /// `starts[i]..starts[i + 1]` is id `i`.
    starts: Vec<u64>,
    indices: HashTable<u32>,
}

impl Default for Vocabulary {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            starts: vec![0],
            indices: HashTable::new(),
        }
    }
}

impl Vocabulary {
    /// The index of `id`, a new one if it is new. Panics past u32 indices.
    pub fn intern(&mut self, id: &str) -> u32 {
        let hash = xxh3_64(id.as_bytes());
        let (text, starts) = (&self.text, &self.starts);
        let entry = self.indices.entry(
            hash,
            |&index| bytes_of(text, starts, index) == id.as_bytes(),
            |&index| xxh3_64(bytes_of(text, starts, index)),
        );
        match entry {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let index = u32::try_from(self.starts.len() - 1).expect("fewer than 2^32 ids");
                entry.insert(index);
                self.text.extend_from_slice(id.as_bytes());
                self.starts.push(self.text.len() as u64);
                index
            }
        }
    }

    /// The index of `id`, if it is known.
    pub fn index(&self, id: &str) -> Option<u32> {
        self.indices
            .find(xxh3_64(id.as_bytes()), |&index| {
                bytes_of(&self.text, &self.starts, index) == id.as_bytes()
            })
            .copied()
    }

    /// The id of an index. Panics if there is none.
    pub fn id(&self, index: u32) -> &str {
        std::str::from_utf8(bytes_of(&self.text, &self.starts, index)).expect("ids went in as text")
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is no id.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All ids in index order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        (0..self.len() as u32).map(|index| self.id(index))
    }
}

fn bytes_of<'a>(text: &'a [u8], starts: &[u64], index: u32) -> &'a [u8] {
    &text[starts[index as usize] as usize..starts[index as usize + 1] as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_map_to_dense_indices_and_back(ids in prop::collection::vec("[0-9a-cé]{1,3}", 0..300)) {
            let mut vocabulary = Vocabulary::default();
            let mut known: Vec<String> = Vec::new();
            for id in &ids {
                let index = vocabulary.intern(id);
                if index as usize == known.len() {
                    known.push(id.clone());
                }
                prop_assert_eq!(&known[index as usize], id);
            }
            prop_assert_eq!(vocabulary.ids().map(str::to_string).collect::<Vec<_>>(), known.clone());
            for (index, id) in known.iter().enumerate() {
                prop_assert_eq!(vocabulary.index(id), Some(index as u32));
            }
            prop_assert_eq!(vocabulary.index("absent"), None);
        }
    }

    #[test]
    fn leading_zeros_make_another_id() {
        let mut vocabulary = Vocabulary::default();
        assert_ne!(vocabulary.intern("0132793040"), vocabulary.intern("132793040"));
        assert_eq!(vocabulary.id(0), "0132793040");
    }
}
