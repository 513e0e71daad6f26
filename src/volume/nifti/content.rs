//! A file's content, plain or unpacked, and what lies behind the image in it.

use std::io::{self, BufRead as _, BufReader, Chain, Cursor, ErrorKind, Read};
use std::mem;

use flate2::bufread::GzDecoder;

use crate::volume::Fault;

/// How a gzip member begins.
const MEMBER: [u8; 2] = [0x1f, 0x8b];

/// Most bytes that one byte of a gzip stream can stand for (a property of deflate).
const GZIP_MOST: u64 = 1032;

/// Bytes read from a file at a time.
const BUFFER: usize = 1 << 16;

/// A reader of which the next two bytes were looked at.
type Peeked<R> = Chain<Cursor<Vec<u8>>, BufReader<R>>;

/// Looks whether a gzip member begins here.
fn peek<R: Read>(mut source: BufReader<R>) -> io::Result<(bool, Peeked<R>)> {
    let mut first = Vec::new();
    source.by_ref().take(MEMBER.len() as u64).read_to_end(&mut first)?;
    Ok((first == MEMBER, Cursor::new(first).chain(source)))
}

/// The bytes of a file, unpacked if its first two say that it is compressed.
pub(super) struct Content<R: Read> {
    source: Source<R>,
    /// The file's length.
    stored: u64,
    /// Bytes of content taken or skipped so far.
    taken: u64,
    /// Gzip members begun.
    members: usize,
}

enum Source<R: Read> {
    Plain(Peeked<R>),
    Member(Box<GzDecoder<Peeked<R>>>),
    /// Behind the last gzip member.
    Behind(Peeked<R>),
    /// While one becomes another.
    Between,
}

impl<R: Read> Content<R> {
    /// The content of a file of `stored` bytes.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn new(source: R, stored: u64) -> Result<Self, Fault> {
        let (compressed, source) = peek(BufReader::with_capacity(BUFFER, source))?;
        let source = if compressed { Source::Member(Box::new(GzDecoder::new(source))) } else { Source::Plain(source) };
        Ok(Self { source, stored, taken: 0, members: 1 })
    }

    /// The file's length.
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// Bytes of content taken or skipped so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The longest content that the file can hold, and in words.
    pub fn most(&self) -> (u64, String) {
        if let Source::Plain(_) = self.source {
            return (self.stored, self.stored.to_string());
        }
        let most = self.stored.saturating_mul(GZIP_MOST).saturating_add(GZIP_MOST);
        (most, format!("at most {most}"))
    }

    /// The next `count` bytes, or fewer where the content ends before.
    ///
    /// # Errors
    /// A file that cannot be read, a broken gzip stream.
    pub fn take_bytes(&mut self, count: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = Vec::with_capacity(count);
        self.by_ref().take(count as u64).read_to_end(&mut bytes).map_err(|error| self.broken(&error))?;
        self.taken += bytes.len() as u64;
        Ok(bytes)
    }

    /// Leaves bytes out. The content may end before.
    ///
    /// # Errors
    /// A file that cannot be read, a broken gzip stream.
    pub fn skip(&mut self, bytes: u64) -> Result<(), Fault> {
        self.taken += io::copy(&mut self.by_ref().take(bytes), &mut io::sink()).map_err(|error| self.broken(&error))?;
        Ok(())
    }

    /// Reads to the file's end, and says in words what lies there besides padding: zeros behind a gzip stream, as to `gunzip`.
    ///
    /// # Errors
    /// A gzip member with the image's last bytes that is broken or doesn't fit its checksum.
    pub fn end(mut self) -> Result<Option<String>, Fault> {
        if let Source::Plain(_) = self.source {
            let bytes = self.stored.saturating_sub(self.taken);
            return Ok((bytes > 0).then(|| format!("{bytes} bytes behind the image are left out")));
        }
        let members = self.members;
        match io::copy(&mut self, &mut io::sink()) {
            Ok(0) => {}
            Ok(content) => return Ok(Some(format!("{content} bytes behind the image are left out"))),
            Err(error) if self.members == members => return Err(self.broken(&error)),
            Err(_) => return Ok(Some("bytes behind the gzip stream that begin like another are left out".to_owned())),
        }
        let Source::Behind(mut source) = self.source else { return Ok(None) };
        let (mut bytes, mut padding) = (0, true);
        loop {
            let block = source.fill_buf()?;
            if block.is_empty() {
                return Ok((!padding).then(|| format!("{bytes} bytes behind the gzip stream are left out")));
            }
            padding &= block.iter().all(|&byte| byte == 0);
            let length = block.len();
            bytes += length;
            source.consume(length);
        }
    }

    fn broken(&self, error: &io::Error) -> Fault {
        let cause = if error.kind() == ErrorKind::UnexpectedEof { "it ends too early".to_owned() } else { error.to_string() };
        match self.source {
            Source::Plain(_) => Fault::Unreadable(cause),
            _ => Fault::Gzip { read: self.taken, cause },
        }
    }
}

impl<R: Read> Read for Content<R> {
    /// The next bytes of content; gzip members follow one another.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.source {
                Source::Plain(source) => return source.read(buffer),
                Source::Behind(_) | Source::Between => return Ok(0),
                Source::Member(member) => match member.read(buffer)? {
                    0 if !buffer.is_empty() => {}
                    bytes => return Ok(bytes),
                },
            }
            if let Source::Member(member) = mem::replace(&mut self.source, Source::Between) {
                let (_, behind) = member.into_inner().into_inner();
                let (another, behind) = peek(behind)?;
                self.members += usize::from(another);
                self.source = if another { Source::Member(Box::new(GzDecoder::new(behind))) } else { Source::Behind(behind) };
            }
        }
    }
}
