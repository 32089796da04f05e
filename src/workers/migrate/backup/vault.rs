//! Encryption of a backup's files, by chunks, so that neither a byte can be changed, nor an end cut off, nor two files swapped
//! without its being noticed. The primitives are ring's, which TLS brings into the house anyway; the crate `age` would do the
//! same with some seventy further packages, a localisation framework among them. No key ever leaves this file.
//!
//! A file is: 7 random bytes, then chunks of at most 64 KiB sealed with ChaCha20-Poly1305, each 16 bytes longer than its text.
//! A chunk's nonce is those 7 bytes, its number from 0 (four bytes, big-endian), and 1 for the last chunk or 0; its additional data is
//! the table's name. The key is PBKDF2-HMAC-SHA256 of the secret, with the salt and the iterations that the manifest names.

use std::io::{self, Read, Write};
use std::num::NonZeroU32;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use ring::pbkdf2;
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};

const CHUNK: usize = 64 * 1024;
const TAG: usize = 16;
const PREFIX: usize = 7;
/// What a guess of the secret costs.
const ITERATIONS: u32 = 600_000;
const DERIVATION: &str = "pbkdf2-hmac-sha256";

/// How a backup's key comes from its secret; says nothing of either.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Lock {
    /// The way from the secret to the key.
    pub derivation: String,
    /// How often it is gone.
    pub iterations: u32,
    /// Random, in hexadecimal.
    pub salt: String,
}

/// The key of one backup.
pub(crate) struct Key(LessSafeKey);

impl Lock {
    /// With a salt of its own.
    pub(crate) fn new() -> io::Result<Self> {
        let mut salt = [0; 16];
        random(&mut salt)?;
        let salt = super::files::hex(&salt);
        Ok(Self { derivation: DERIVATION.into(), iterations: ITERATIONS, salt })
    }

    /// The key that this secret gives. Takes part of a second, by intention.
    pub(crate) fn key(&self, secret: &SecretString) -> io::Result<Key> {
        let iterations = NonZeroU32::new(self.iterations).filter(|_| self.derivation == DERIVATION);
        let iterations = iterations.ok_or_else(|| {
            io::Error::other(format!("its key derivation {:?} is not known here", self.derivation))
        })?;
        let mut key = [0; 32];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            self.salt.as_bytes(),
            secret.expose_secret().as_bytes(),
            &mut key,
        );
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, &key)
            .map_err(|_| io::Error::other("the key has a wrong length"))?;
        Ok(Key(LessSafeKey::new(unbound)))
    }
}

fn random(bytes: &mut [u8]) -> io::Result<()> {
    SystemRandom::new().fill(bytes).map_err(|_| io::Error::other("the system gave no random bytes"))
}

/// Whether a chunk is the last of its file.
#[derive(Clone, Copy)]
enum Place {
    Within,
    Last,
}

fn nonce(prefix: [u8; PREFIX], number: u32, place: Place) -> Nonce {
    let mut bytes = [0; 12];
    let last = match place {
        Place::Within => 0,
        Place::Last => 1,
    };
    for (to, from) in bytes.iter_mut().zip(prefix.into_iter().chain(number.to_be_bytes()).chain([last])) {
        *to = from;
    }
    Nonce::assume_unique_for_key(bytes)
}

/// Seals what is written to it; without a key it passes everything on.
pub(crate) struct Sealing<'a, W: Write> {
    into: W,
    sealed: Option<Sealed<'a>>,
}

struct Sealed<'a> {
    key: &'a Key,
    bound: &'a str,
    prefix: [u8; PREFIX],
    number: u32,
    open: Vec<u8>,
}

impl<'a, W: Write> Sealing<'a, W> {
    pub(crate) fn new(mut into: W, key: Option<&'a Key>, bound: &'a str) -> io::Result<Self> {
        let sealed = match key {
            None => None,
            Some(key) => {
                let mut prefix = [0; PREFIX];
                random(&mut prefix)?;
                into.write_all(&prefix)?;
                Some(Sealed { key, bound, prefix, number: 0, open: Vec::with_capacity(CHUNK + TAG) })
            }
        };
        Ok(Self { into, sealed })
    }

    /// Writes the last chunk; without it the file cannot be opened.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        if let Some(sealed) = &mut self.sealed {
            sealed.chunk(&mut self.into, Place::Last)?;
        }
        Ok(self.into)
    }
}

impl Sealed<'_> {
    fn chunk(&mut self, into: &mut impl Write, place: Place) -> io::Result<()> {
        let nonce = nonce(self.prefix, self.number, place);
        let sealing =
            self.key.0.seal_in_place_append_tag(nonce, Aad::from(self.bound.as_bytes()), &mut self.open);
        sealing.map_err(|_| io::Error::other("a chunk could not be encrypted"))?;
        into.write_all(&self.open)?;
        self.open.clear();
        self.number =
            self.number.checked_add(1).ok_or_else(|| io::Error::other("the file is too long for one key"))?;
        Ok(())
    }
}

impl<W: Write> Write for Sealing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(sealed) = &mut self.sealed else { return self.into.write(bytes) };
        if sealed.open.len() >= CHUNK {
            sealed.chunk(&mut self.into, Place::Within)?;
        }
        let fits = bytes.get(..bytes.len().min(CHUNK - sealed.open.len())).unwrap_or_default();
        sealed.open.extend_from_slice(fits);
        Ok(fits.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.into.flush()
    }
}

/// Opens what [`Sealing`] has sealed; without a key it passes everything on.
pub(crate) struct Opening<'a, R: Read> {
    from: R,
    opened: Option<Opened<'a>>,
}

struct Opened<'a> {
    key: &'a Key,
    bound: &'a str,
    prefix: [u8; PREFIX],
    number: u32,
    /// Text that was not asked for yet.
    text: io::Cursor<Vec<u8>>,
    /// The next chunk, still sealed: only who sees that nothing follows knows the last.
    ahead: Vec<u8>,
}

impl<'a, R: Read> Opening<'a, R> {
    pub(crate) fn new(mut from: R, key: Option<&'a Key>, bound: &'a str) -> io::Result<Self> {
        let opened = match key {
            None => None,
            Some(key) => {
                let mut prefix = [0; PREFIX];
                from.read_exact(&mut prefix)?;
                let ahead = chunk(&mut from)?;
                Some(Opened { key, bound, prefix, number: 0, text: io::Cursor::default(), ahead })
            }
        };
        Ok(Self { from, opened })
    }
}

fn chunk(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(CHUNK + TAG);
    from.take((CHUNK + TAG) as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl<R: Read> Read for Opening<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let Some(opened) = &mut self.opened else { return self.from.read(bytes) };
        loop {
            let read = opened.text.read(bytes)?;
            if read > 0 || opened.ahead.is_empty() || bytes.is_empty() {
                return Ok(read);
            }
            let mut sealed = std::mem::replace(&mut opened.ahead, chunk(&mut self.from)?);
            let place = if opened.ahead.is_empty() { Place::Last } else { Place::Within };
            let nonce = nonce(opened.prefix, opened.number, place);
            let text = opened.key.0.open_in_place(nonce, Aad::from(opened.bound.as_bytes()), &mut sealed);
            let length = text
                .map_err(|_| {
                    io::Error::new(io::ErrorKind::InvalidData, "it cannot be decrypted with this key")
                })?
                .len();
            sealed.truncate(length);
            opened.number = opened.number.saturating_add(1);
            opened.text = io::Cursor::new(sealed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> Key {
        let lock = Lock { derivation: DERIVATION.into(), iterations: 1_000, salt: "00".into() };
        lock.key(&SecretString::from(secret)).unwrap()
    }

    fn sealed(text: &[u8], key: Option<&Key>) -> Vec<u8> {
        let mut sealing = Sealing::new(Vec::new(), key, "public.contacts").unwrap();
        sealing.write_all(text).unwrap();
        sealing.finish().unwrap()
    }

    fn opened(bytes: &[u8], key: Option<&Key>, bound: &str) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        Opening::new(bytes, key, bound)?.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn what_is_sealed_opens_again_at_every_length() {
        let key = key("open sesame");
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let text: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let bytes = sealed(&text, Some(&key));
            assert!(length < 16 || !bytes.windows(16).any(|part| part == &text[..16]), "nothing shows");
            assert_eq!(opened(&bytes, Some(&key), "public.contacts").unwrap(), text, "{length}");
        }
        assert_eq!(sealed(b"plain", None), b"plain");
    }

    #[test]
    fn a_changed_byte_a_cut_end_another_key_and_another_table_are_noticed() {
        let (right, wrong) = (key("open sesame"), key("open barley"));
        let text = vec![7; 2 * CHUNK];
        let bytes = sealed(&text, Some(&right));
        let refused = |bytes: &[u8], key: &Key, bound: &str| opened(bytes, Some(key), bound).unwrap_err();
        for at in [0, 9, CHUNK, bytes.len() - 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            refused(&changed, &right, "public.contacts");
        }
        // Cut between two chunks: the first is whole, and is not the last.
        refused(&bytes[..PREFIX + CHUNK + TAG], &right, "public.contacts");
        refused(&bytes[..bytes.len() - 1], &right, "public.contacts");
        refused(&bytes, &wrong, "public.contacts");
        refused(&bytes, &right, "public.organizations");
    }
}
