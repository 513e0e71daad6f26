//! A file's content, plain or unpacked, and what lies behind the image in it.

use std::io::{self, BufRead, ErrorKind, Read};
use std::mem;

use flate2::bufread::GzDecoder;

use crate::volume::Fault;

/// Bytes taken from a file at a time.
const BUFFER: usize = 1 << 16;

/// How a gzip member begins.
const MEMBER: [u8; 2] = [0x1f, 0x8b];

/// Most bytes that one byte of a gzip stream can stand for (a property of deflate).
const GZIP_MOST: u64 = 1032;

/// The bytes of a file, unpacked if its first two say that it is compressed.
pub(super) struct Content<R: Read> {
    source: Source<R>,
    /// The file's length.
    stored: u64,
    /// Bytes of content so far.
    read: u64,
    /// Gzip members begun.
    members: usize,
}

enum Source<R: Read> {
    Plain(Ahead<R>),
    Member(GzDecoder<Ahead<R>>),
    /// Behind the last gzip member.
    Behind(Ahead<R>),
    /// While one becomes another.
    Between,
}

impl<R: Read> Content<R> {
    /// The content of a file of `stored` bytes.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn new(source: R, stored: u64) -> Result<Self, Fault> {
        let mut source = Ahead::new(source);
        let compressed = source.peek::<2>().map_err(|error| Fault::Unreadable { cause: error.to_string() })? == MEMBER;
        let source = if compressed { Source::Member(GzDecoder::new(source)) } else { Source::Plain(source) };
        Ok(Self { source, stored, read: 0, members: 1 })
    }

    /// The file's length.
    pub fn stored(&self) -> u64 {
        self.stored
    }

    /// Bytes of content read so far.
    pub fn read_so_far(&self) -> u64 {
        self.read
    }

    /// The longest content that the file can hold, and in words.
    pub fn most(&self) -> (u64, String) {
        match self.source {
            Source::Plain(_) => (self.stored, self.stored.to_string()),
            _ => {
                let most = self.stored.saturating_mul(GZIP_MOST).saturating_add(GZIP_MOST);
                (most, format!("at most {most}"))
            }
        }
    }

    /// Fills `buffer` as far as the content goes, and says how far that is.
    ///
    /// # Errors
    /// A file that cannot be read, a broken gzip stream.
    pub fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Fault> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.next(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
        self.read += filled as u64;
        Ok(filled)
    }

    /// Leaves bytes out. The content may end before.
    ///
    /// # Errors
    /// A file that cannot be read, a broken gzip stream.
    pub fn skip(&mut self, mut bytes: u64) -> Result<(), Fault> {
        let mut block = vec![0; BUFFER];
        while bytes > 0 {
            let wanted = block.len().min(usize::try_from(bytes).unwrap_or(usize::MAX));
            match self.fill(&mut block[..wanted])? {
                0 => break,
                got => bytes -= got as u64,
            }
        }
        Ok(())
    }

    /// Reads to the file's end, and tells in words what lies there besides padding.
    ///
    /// Zeros behind a gzip stream are padding, as they are to `gunzip`.
    ///
    /// # Errors
    /// A gzip member with the image's last bytes that is broken or doesn't fit its checksum.
    pub fn end(mut self) -> Result<Option<String>, Fault> {
        if let Source::Plain(_) = self.source {
            let bytes = self.stored.saturating_sub(self.read);
            return Ok((bytes > 0).then(|| format!("{bytes} bytes behind the image are left out")));
        }
        let members = self.members;
        let mut content = 0;
        let mut block = vec![0; BUFFER];
        loop {
            match self.next(&mut block) {
                Ok(0) => break,
                Ok(bytes) => content += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if self.members == members => return Err(self.broken(&error)),
                Err(_) => return Ok(Some("bytes behind the gzip stream that begin like another are left out".to_owned())),
            }
        }
        if content > 0 {
            return Ok(Some(format!("{content} bytes behind the image are left out")));
        }
        let Source::Behind(mut source) = self.source else { return Ok(None) };
        let (mut bytes, mut padding) = (0, true);
        loop {
            match source.read(&mut block) {
                Ok(0) => break,
                Ok(got) => {
                    bytes += got;
                    padding &= block[..got].iter().all(|&byte| byte == 0);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::Unreadable { cause: error.to_string() }),
            }
        }
        Ok((!padding).then(|| format!("{bytes} bytes behind the gzip stream are left out")))
    }

    /// The next bytes of content; gzip members follow one another.
    fn next(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.source {
                Source::Plain(source) => return source.read(buffer),
                Source::Behind(_) | Source::Between => return Ok(0),
                Source::Member(member) => match member.read(buffer)? {
                    0 => {}
                    bytes => return Ok(bytes),
                },
            }
            if let Source::Member(member) = mem::replace(&mut self.source, Source::Between) {
                let mut behind = member.into_inner();
                let another = behind.peek::<2>().is_ok_and(|begin| begin == MEMBER);
                self.members += usize::from(another);
                self.source = if another { Source::Member(GzDecoder::new(behind)) } else { Source::Behind(behind) };
            }
        }
    }

    fn broken(&self, error: &io::Error) -> Fault {
        let cause = if error.kind() == ErrorKind::UnexpectedEof { "it ends too early".to_owned() } else { error.to_string() };
        match self.source {
            Source::Plain(_) => Fault::Unreadable { cause },
            _ => Fault::Gzip { read: self.read, cause },
        }
    }
}

/// A buffered reader whose next bytes can be looked at.
struct Ahead<R> {
    source: R,
    buffer: Box<[u8]>,
    from: usize,
    to: usize,
}

impl<R: Read> Ahead<R> {
    fn new(source: R) -> Self {
        Self { source, buffer: vec![0; BUFFER].into(), from: 0, to: 0 }
    }

    /// The next bytes, zeros where the source ends before.
    fn peek<const COUNT: usize>(&mut self) -> io::Result<[u8; COUNT]> {
        if self.to - self.from < COUNT {
            self.buffer.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        while self.to < COUNT {
            match self.source.read(&mut self.buffer[self.to..]) {
                Ok(0) => break,
                Ok(got) => self.to += got,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let there = &self.buffer[self.from..self.to.min(self.from + COUNT)];
        Ok(std::array::from_fn(|index| there.get(index).copied().unwrap_or(0)))
    }
}

impl<R: Read> Read for Ahead<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.fill_buf()?.read(buffer)?;
        self.consume(got);
        Ok(got)
    }
}

impl<R: Read> BufRead for Ahead<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.from == self.to {
            (self.from, self.to) = (0, self.source.read(&mut self.buffer)?);
        }
        Ok(&self.buffer[self.from..self.to])
    }

    fn consume(&mut self, bytes: usize) {
        self.from += bytes;
    }
}
