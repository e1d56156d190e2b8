//! An image's bytes: in the component's own memory, or in a file that is read piece by piece.

use core::ops::Range;
use std::borrow::Cow;
use std::rc::Rc;

#[cfg(feature = "command")]
pub use file::File;

/// An image's bytes, or a piece of them. Cheap to clone: no byte is copied before it is sent.
#[derive(Clone, Debug)]
pub struct WasiBytes {
    source: Source,
    from: u64,
    to: u64,
}

#[derive(Clone, Debug)]
enum Source {
    Memory(Rc<Vec<u8>>),
    #[cfg(feature = "command")]
    File(Rc<File>),
}

impl From<Vec<u8>> for WasiBytes {
    fn from(bytes: Vec<u8>) -> Self {
        let to = bytes.len() as u64;
        Self { source: Source::Memory(Rc::new(bytes)), from: 0, to }
    }
}

#[cfg(feature = "command")]
impl From<File> for WasiBytes {
    fn from(file: File) -> Self {
        let to = file.size();
        Self { source: Source::File(Rc::new(file)), from: 0, to }
    }
}

impl WasiBytes {
    pub(super) fn size(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    pub(super) fn slice(&self, piece: Range<u64>) -> Self {
        let at = |offset: u64| self.from.saturating_add(offset).min(self.to);
        Self { source: self.source.clone(), from: at(piece.start), to: at(piece.end) }
    }

    /// As many bytes from an offset on, as far as there are any, or why they can't be read.
    pub(crate) fn piece(&self, from: u64, length: u64) -> Result<Cow<'_, [u8]>, String> {
        let at = |offset: u64| self.from.saturating_add(offset).min(self.to);
        let (from, to) = (at(from), at(from.saturating_add(length)));
        match &self.source {
            Source::Memory(bytes) => Ok(Cow::Borrowed(bytes.get(from as usize..to as usize).unwrap_or_default())),
            #[cfg(feature = "command")]
            Source::File(file) => file.read(from, to).map(Cow::Owned),
        }
    }

    /// What has become of a file since it was opened, if it is not what it was.
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.source {
            Source::Memory(_) => Ok(()),
            #[cfg(feature = "command")]
            Source::File(file) => file.check(),
        }
    }
}

#[cfg(feature = "command")]
mod file {
    use std::fs;
    use std::io::{Read, Seek, SeekFrom};
    use std::path::Path;
    use std::time::SystemTime;

    /// A file as it was when it was opened.
    #[derive(Debug)]
    pub struct File {
        file: fs::File,
        size: u64,
        changed: Option<SystemTime>,
    }

    impl File {
        /// Opens a file to send it, or says why it can't be opened.
        pub fn open(path: &Path) -> Result<Self, String> {
            let open = || {
                let file = fs::File::open(path)?;
                let known = file.metadata()?;
                Ok(Self { file, size: known.len(), changed: known.modified().ok() })
            };
            open().map_err(words)
        }

        /// In bytes.
        pub fn size(&self) -> u64 {
            self.size
        }

        pub(super) fn read(&self, from: u64, to: u64) -> Result<Vec<u8>, String> {
            let read = || {
                let (mut file, mut bytes) = (&self.file, vec![0; to.saturating_sub(from) as usize]);
                file.seek(SeekFrom::Start(from))?;
                file.read_exact(&mut bytes)?;
                Ok(bytes)
            };
            read().map_err(words)
        }

        /// A file that is written meanwhile would be sent as a mixture of what it was and what it is.
        pub(super) fn check(&self) -> Result<(), String> {
            let now = self.file.metadata().map_err(words)?;
            match (now.len(), now.modified().ok()) == (self.size, self.changed) {
                true => Ok(()),
                false => Err("the file has changed".to_owned()),
            }
        }
    }

    fn words(problem: std::io::Error) -> String {
        problem.to_string()
    }
}
