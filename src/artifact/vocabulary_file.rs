//! A vocabulary on disk, searched where it lies: no id is read that is not asked for.
//!
//! Safetensors with, in index order: `id_starts` u64 `[n + 1]` into `id_text` u8; `sorted` u32 `[n]`, the indices in byte order
//! of their ids, for a binary search; `train_ratings` u32 `[n]`, ratings in the training split. Products with a title table have
//! `title_starts` into `title_text` and `detail_starts` into `detail_text` (JSON) as well; empty means that there is none.

use super::pages::Pages;
use super::tensor_file::{FileError, TensorFile, TensorSpec, TensorWriter};
use crate::common::interaction::DenseIndex;
use crate::data::titles::Titles;
use crate::data::vocabulary::Vocabulary;
use rayon::slice::ParallelSliceMut;
use safetensors::tensor::Dtype;
use std::marker::PhantomData;
use std::path::Path;

/// Writes a vocabulary, its rating counts and maybe its titles. Panics if they differ in length.
pub fn write(
    path: &Path,
    vocabulary: &Vocabulary<impl DenseIndex>,
    train_ratings: &[u32],
    titles: Option<&Titles>,
) -> Result<(), FileError> {
    let count = vocabulary.len();
    assert_eq!(
        count,
        train_ratings.len(),
        "vocabulary_file: ids and rating counts differ in length"
    );
    let mut starts: Vec<u64> = vec![0];
    let mut text = Vec::new();
    for id in vocabulary.ids() {
        text.extend_from_slice(id.as_bytes());
        starts.push(text.len() as u64);
    }
    let mut sorted: Vec<_> = (0..count as u32).map(DenseIndex::new).collect();
    sorted.par_sort_unstable_by(|&a, &b| vocabulary.id(a).cmp(vocabulary.id(b)));
    if let Some(titles) = titles {
        assert_eq!(count, titles.len(), "vocabulary_file: ids and titles differ in length");
    }
    let mut specs = vec![TensorSpec::new("id_starts", Dtype::U64, &[count + 1])];
    if titles.is_some() {
        specs.push(TensorSpec::new("title_starts", Dtype::U64, &[count + 1]));
        specs.push(TensorSpec::new("detail_starts", Dtype::U64, &[count + 1]));
    }
    specs.extend([
        TensorSpec::new("sorted", Dtype::U32, &[count]),
        TensorSpec::new("train_ratings", Dtype::U32, &[count]),
        TensorSpec::new("id_text", Dtype::U8, &[text.len()]),
    ]);
    if let Some(titles) = titles {
        specs.push(TensorSpec::new("title_text", Dtype::U8, &[titles.title.bytes().len()]));
        specs.push(TensorSpec::new(
            "detail_text",
            Dtype::U8,
            &[titles.details.bytes().len()],
        ));
    }
    let mut file = TensorWriter::create(path, &specs, None)?;
    file.append(&starts)?;
    if let Some(titles) = titles {
        file.append(titles.title.starts())?;
        file.append(titles.details.starts())?;
    }
    file.append(&sorted)?;
    file.append(train_ratings)?;
    file.append(&text)?;
    if let Some(titles) = titles {
        file.append(titles.title.bytes())?;
        file.append(titles.details.bytes())?;
    }
    file.finish()
}

/// An open vocabulary.
pub struct VocabularyFile<Index> {
    file: TensorFile,
    count: usize,
    has_titles: bool,
    kind: PhantomData<Index>,
}

impl<Index: DenseIndex> VocabularyFile<Index> {
    /// Opens a vocabulary and checks that its tensors fit one another.
    pub fn open(path: &Path, pages: Option<Pages>) -> Result<Self, FileError> {
        let file = TensorFile::open(path, pages)?;
        let &[count] = file.shape::<u32>("sorted")? else {
            return Err(FileError::damaged(path, "`sorted` is not a column"));
        };
        file.expect::<u32>("train_ratings", &[count])?;
        file.expect::<u64>("id_starts", &[count + 1])?;
        let ends = file.part::<u64>("id_starts", count..count + 1)?;
        if file.shape::<u8>("id_text")? != [ends[0] as usize] {
            return Err(FileError::damaged(
                path,
                "`id_starts` does not end where `id_text` does",
            ));
        }
        let has_titles = file.has("title_starts");
        if has_titles {
            file.expect::<u64>("title_starts", &[count + 1])?;
        }
        Ok(Self {
            file,
            count,
            has_titles,
            kind: PhantomData,
        })
    }

    /// The path, for messages.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is no id.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The id of an index. Errors if the file is damaged there; panics if there is no such index.
    pub fn id(&self, index: Index) -> Result<&str, FileError> {
        std::str::from_utf8(self.bytes(index)?)
            .map_err(|_| FileError::damaged(self.file.path(), format!("id {} is not UTF-8", index.number())))
    }

    fn bytes(&self, index: Index) -> Result<&[u8], FileError> {
        self.text("id_starts", "id_text", index)
    }

    /// The bytes of an index in a text; no other page is read than those that they and their bounds lie in.
    fn text(&self, starts: &str, text: &str, index: Index) -> Result<&[u8], FileError> {
        let index = index.index();
        assert!(index < self.count, "VocabularyFile: index {index} of {}", self.count);
        let bounds = self.file.part::<u64>(starts, index..index + 2)?;
        self.file.part(text, bounds[0] as usize..bounds[1] as usize)
    }

    /// The index of an id, by binary search.
    pub fn index(&self, id: &str) -> Result<Option<Index>, FileError> {
        let mut range = 0..self.count;
        while !range.is_empty() {
            let middle = range.start + range.len() / 2;
            let index = self.file.part::<u32>("sorted", middle..middle + 1)?[0];
            if index as usize >= self.count {
                return Err(FileError::damaged(
                    self.file.path(),
                    format!("`sorted` names index {index} of {}", self.count),
                ));
            }
            let index = Index::new(index);
            match self.bytes(index)?.cmp(id.as_bytes()) {
                std::cmp::Ordering::Equal => return Ok(Some(index)),
                std::cmp::Ordering::Less => range.start = middle + 1,
                std::cmp::Ordering::Greater => range.end = middle,
            }
        }
        Ok(None)
    }

    /// The whole vocabulary in memory, for whoever looks up most of it: among millions of ids a binary search waits for memory two
    /// dozen times. Errors if an id stands twice.
    pub fn read(&self) -> Result<Vocabulary<Index>, FileError> {
        let mut vocabulary = Vocabulary::default();
        for index in (0..self.count as u32).map(Index::new) {
            if vocabulary.intern(self.id(index)?) != index {
                return Err(FileError::damaged(
                    self.file.path(),
                    format!("id {} stands twice", index.number()),
                ));
            }
        }
        Ok(vocabulary)
    }

    /// Up to `count` ids that differ from `id` by at most two letters, the nearest first; all ids are looked at.
    ///
    /// An edit changes at most two members of the set of letters, so nearly all ids fall out by one comparison of two words
    /// (the filter of E. Ukkonen, Approximate string matching with q-grams, 1992, for single letters).
    pub fn nearest(&self, id: &str, count: usize) -> Result<Vec<&str>, FileError> {
        const EDITS: usize = 2;
        let letters = |text: &[u8]| text.iter().fold(0u64, |set, letter| set | 1 << (letter & 63));
        let (wanted, length) = (letters(id.as_bytes()), id.len());
        let starts = self.file.tensor::<u64>("id_starts")?;
        let text = self.file.tensor::<u8>("id_text")?;
        let mut nearest = Vec::new();
        for bounds in starts.windows(2) {
            let Some(other) = text.get(bounds[0] as usize..bounds[1] as usize) else {
                continue;
            };
            if other.len().abs_diff(length) > EDITS || (letters(other) ^ wanted).count_ones() as usize > 2 * EDITS {
                continue;
            }
            let Ok(other) = std::str::from_utf8(other) else {
                continue;
            };
            let edits = strsim::osa_distance(id, other);
            // Half of a short id is no likeness.
            if edits <= EDITS && 2 * edits < length.max(2) {
                nearest.push((edits, other));
            }
        }
        nearest.sort_unstable();
        nearest.truncate(count);
        Ok(nearest.into_iter().map(|(_, id)| id).collect())
    }

    /// The title of an index, if the file has titles and there is one. Errors if the file is damaged there.
    pub fn title(&self, index: Index) -> Result<Option<&str>, FileError> {
        if !self.has_titles {
            return Ok(None);
        }
        let title = std::str::from_utf8(self.text("title_starts", "title_text", index)?)
            .map_err(|_| FileError::damaged(self.file.path(), format!("title {} is not UTF-8", index.number())))?;
        Ok((!title.is_empty()).then_some(title))
    }

    /// The indices whose titles are a text, but for capitals.
    pub fn titled(&self, title: &str) -> Result<Vec<Index>, FileError> {
        let wanted = title.to_lowercase();
        self.where_title(|title| title == wanted)
    }

    /// Up to `count` indices whose titles hold a text, but for capitals; the shortest titles first, then by index.
    pub fn with_in_title(&self, text: &str, count: usize) -> Result<Vec<Index>, FileError> {
        let wanted = text.trim().to_lowercase();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for index in self.where_title(|title| title.contains(&wanted))? {
            found.push((self.title(index)?.map_or(0, str::len), index));
        }
        found.sort_unstable();
        found.truncate(count);
        Ok(found.into_iter().map(|(_, index)| index).collect())
    }

    /// The indices whose titles, in small letters, are as wanted; all titles are looked at.
    fn where_title(&self, is_wanted: impl Fn(&str) -> bool) -> Result<Vec<Index>, FileError> {
        let mut found = Vec::new();
        if self.has_titles {
            for index in (0..self.count as u32).map(Index::new) {
                if self.title(index)?.is_some_and(|title| is_wanted(&title.to_lowercase())) {
                    found.push(index);
                }
            }
        }
        Ok(found)
    }

    /// Ratings in the training split, by index.
    pub fn train_ratings(&self) -> Result<&[u32], FileError> {
        self.file.tensor("train_ratings")
    }

    /// Ratings of one index in the training split. Panics if there is no such index.
    pub fn train_ratings_of(&self, index: Index) -> Result<u32, FileError> {
        let index = index.index();
        assert!(index < self.count, "VocabularyFile: index {index} of {}", self.count);
        Ok(self.file.part("train_ratings", index..index + 1)?[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::interaction::ItemIndex;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_id_is_found_and_no_other(ids in prop::collection::hash_set("[0-9A-Zé]{0,4}", 0..100)) {
            let mut vocabulary = Vocabulary::<ItemIndex>::default();
            ids.iter().for_each(|id| { vocabulary.intern(id); });
            let counts: Vec<u32> = (0..vocabulary.len() as u32).collect();
            let path = std::env::temp_dir().join(format!("dotcart-vocabulary-{}", std::process::id()));
            let mut titles = Titles::default();
            ids.iter().enumerate().for_each(|(place, id)| {
                titles.title.push(if place % 2 == 0 { id } else { "" });
                titles.details.push("{}");
            });
            write(&path, &vocabulary, &counts, Some(&titles)).unwrap();
            let file = VocabularyFile::open(&path, None).unwrap();
            prop_assert_eq!(file.len(), ids.len());
            for (index, id) in (0..).map(ItemIndex).zip(vocabulary.ids()) {
                prop_assert_eq!(file.id(index).unwrap(), id);
                prop_assert_eq!(file.index(id).unwrap(), Some(index));
                prop_assert_eq!(file.title(index).unwrap(), (index.0 % 2 == 0 && !id.is_empty()).then_some(id));
            }
            for id in ["0", "AB", "A0é", "00000"] {
                let near = |other: &&str| {
                    let edits = strsim::osa_distance(id, other);
                    edits <= 2 && 2 * edits < id.len().max(2) && other.len().abs_diff(id.len()) <= 2
                };
                let mut expected: Vec<&str> = vocabulary.ids().filter(near).collect();
                expected.sort_by_key(|other| (strsim::osa_distance(id, other), *other));
                expected.truncate(3);
                prop_assert_eq!(file.nearest(id, 3).unwrap(), expected);
            }
            prop_assert_eq!(file.index("absent").unwrap(), None);
            prop_assert!(file.read().unwrap().ids().eq(vocabulary.ids()));
            prop_assert_eq!(file.train_ratings().unwrap(), &counts);
            std::fs::remove_file(path).unwrap();
        }
    }

    #[test]
    fn an_id_that_stands_twice_is_damage() {
        let mut vocabulary = Vocabulary::<ItemIndex>::default();
        for id in ["a1", "a2"] {
            vocabulary.intern(id);
        }
        let path = std::env::temp_dir().join(format!("dotcart-vocabulary-twice-{}", std::process::id()));
        write(&path, &vocabulary, &[1, 1], None).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(4).position(|four| four == b"a1a2").unwrap();
        std::fs::write(&path, [&bytes[..at], b"a1a1", &bytes[at + 4..]].concat()).unwrap();
        let error = VocabularyFile::<ItemIndex>::open(&path, None)
            .unwrap()
            .read()
            .unwrap_err();
        assert!(error.to_string().ends_with("id 1 stands twice"), "{error}");
        std::fs::remove_file(path).unwrap();
    }
}
