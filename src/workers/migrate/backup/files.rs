//! A backup as files: one per table, COPY text, gzipped and where a key is set encrypted, and a manifest that says what they
//! hold. The directory gets its name only when all of it is on disk: one that ends in `.part` was interrupted, and is no backup.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::print::Print;
use super::tables::Column;
use super::vault::{Key, Lock, Opening, Sealing};

/// The manifest's name.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The version of its form.
pub(crate) const SCHEMA: u32 = 1;

/// What a backup holds. Its JSON is a format that outlives the program: fields are only added.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Manifest {
    /// The version of this form.
    pub schema: u32,
    /// By the server's clock, before the first row was read.
    pub at: DateTime<Utc>,
    /// In whose name.
    pub by: String,
    /// The database's name.
    pub database: String,
    /// Name, host and port.
    pub place: String,
    /// The server's version, as `150018`.
    pub server: i32,
    /// The snapshot that all tables were read in, as the server writes it.
    pub snapshot: String,
    /// How the key comes from the secret; none where the files are not encrypted.
    #[serde(default)]
    pub lock: Option<Lock>,
    /// The tables, in the order in which they were read.
    pub tables: Vec<Held>,
}

/// A table in a backup.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Held {
    /// With its schema.
    pub table: String,
    /// Why it is in the backup.
    pub why: String,
    /// The columns, in the file's order.
    pub columns: Vec<Column>,
    /// Its primary key.
    #[serde(default)]
    pub key: Vec<String>,
    /// Its rows and their fingerprint, of the same snapshot.
    #[serde(flatten)]
    pub print: Print,
    /// The file's name.
    pub file: String,
    /// The file's length in bytes.
    pub bytes: u64,
    /// The file's SHA-256, in hexadecimal.
    pub sha256: String,
}

/// What was written into one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// A directory that is being filled. Dropped before it is finished, it is removed.
#[derive(Debug)]
pub(crate) struct Filling {
    part: PathBuf,
    whole: PathBuf,
}

impl Filling {
    /// Makes `DIR/NAME.part`, for the owner alone.
    pub(crate) fn begin(dir: &Path, name: &str) -> io::Result<Self> {
        let filling = Self { part: dir.join(format!("{name}.part")), whole: dir.join(name) };
        if filling.whole.exists() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "there is a backup of that name already",
            ));
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&filling.part)?;
        Ok(filling)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.part
    }

    /// Writes the manifest, and gives the directory its name. Answers with its path and the manifest's SHA-256.
    pub(crate) fn finish(self, manifest: &Manifest) -> io::Result<(PathBuf, String)> {
        let text = serde_json::to_vec_pretty(manifest)?;
        let mut file = create(&self.part.join(MANIFEST))?;
        file.write_all(&text)?;
        file.sync_all()?;
        File::open(&self.part)?.sync_all()?;
        fs::rename(&self.part, &self.whole)?;
        if let Some(dir) = self.whole.parent() {
            File::open(dir)?.sync_all()?;
        }
        Ok((self.whole.clone(), hex(Sha256::digest(&text).as_ref())))
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.part)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "an incomplete backup could not be removed");
        }
    }
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// Counts and hashes what goes through.
struct Counted<W> {
    into: W,
    bytes: u64,
    hash: Sha256,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.into.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// Writes all that comes, until the sender is dropped. Blocks: it wants a thread of its own.
pub(crate) fn write<B: AsRef<[u8]>>(
    mut rows: mpsc::Receiver<B>,
    path: &Path,
    key: Option<&Key>,
    bound: &str,
) -> io::Result<Written> {
    let into = Counted { into: BufWriter::new(create(path)?), bytes: 0, hash: Sha256::new() };
    // The fastest level: the database is read as quickly as the disk and the network allow.
    let mut packed = GzEncoder::new(Sealing::new(into, key, bound)?, Compression::fast());
    while let Some(some) = rows.blocking_recv() {
        packed.write_all(some.as_ref())?;
    }
    let mut counted = packed.finish()?.finish()?;
    counted.flush()?;
    counted.into.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(Written { bytes: counted.bytes, sha256: hex(counted.hash.finalize().as_ref()) })
}

/// Sends all rows of a file; says nothing of whether it is the right file. Blocks: it wants a thread of its own.
pub(crate) fn read(
    path: &Path,
    key: Option<&Key>,
    bound: &str,
    rows: &mpsc::Sender<Vec<u8>>,
) -> io::Result<()> {
    let mut packed = GzDecoder::new(Opening::new(BufReader::new(File::open(path)?), key, bound)?);
    loop {
        let mut some = vec![0; 64 * 1024];
        let read = packed.read(&mut some)?;
        if read == 0 {
            return Ok(());
        }
        some.truncate(read);
        if rows.blocking_send(some).is_err() {
            // Who reads them has an error of its own to tell.
            return Ok(());
        }
    }
}

/// Reads the manifest of a backup, and the SHA-256 of its text.
pub(crate) fn manifest(dir: &Path) -> io::Result<(Manifest, String)> {
    let text = fs::read(dir.join(MANIFEST))?;
    let manifest: Manifest = serde_json::from_slice(&text)?;
    if manifest.schema > SCHEMA {
        return Err(io::Error::other(format!("its form {} is of a newer gonogo", manifest.schema)));
    }
    Ok((manifest, hex(Sha256::digest(&text).as_ref())))
}

/// In words what is wrong with a table's file, if anything is. Reads all of it.
pub(crate) fn damage(dir: &Path, held: &Held) -> Option<String> {
    // The name comes from a file that somebody may have edited: it must not lead elsewhere.
    if held.file.contains(['/', '\\']) || held.file.starts_with('.') {
        return Some(format!("{:?} is no name of a file beside the manifest", held.file));
    }
    let path = dir.join(&held.file);
    let looked = File::open(&path).and_then(|mut file| {
        let mut counted = Counted { into: io::sink(), bytes: 0, hash: Sha256::new() };
        io::copy(&mut file, &mut counted)?;
        Ok((counted.bytes, hex(counted.hash.finalize().as_ref())))
    });
    match looked {
        Err(error) => Some(format!("{} cannot be read: {error}", path.display())),
        Ok((bytes, _)) if bytes < held.bytes => {
            Some(format!("{} is cut off: {bytes} of {} bytes", path.display(), held.bytes))
        }
        Ok((_, sha256)) if sha256 != held.sha256 => {
            Some(format!("{} was altered: its SHA-256 is not that of the manifest", path.display()))
        }
        Ok(_) => None,
    }
}
