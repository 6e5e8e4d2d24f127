//! What this program and its spawner say to each other, over one stream: a length, a value as JSON, and after a
//! reply the bytes that were printed, as they are. Both sides are the same program, so nothing here is a promise.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Capture, Command, End, Finished, Level, Rules};

/// More than this is never sent: arguments of at most 1 MiB as JSON numbers, with room.
const MAX_HEADER: usize = 64 << 20;

/// What the spawner is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Build the sandbox; the first request, once.
    Start {
        /// What children may do.
        rules: Rules,
        /// What shall keep them in.
        level: Level,
    },
    /// Run a program.
    Run(Command),
    /// End the program that runs.
    Stop,
}

/// What the spawner says to the request to start.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Started {
    /// The sandbox stands; what it leaves open.
    Ready(Vec<String>),
    /// It cannot be built.
    Refused(String),
}

/// The fixed part of what the spawner says when a program has ended.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    end: End,
    streams: [Lengths; 2],
}

#[derive(Debug, Serialize, Deserialize)]
struct Lengths {
    head: usize,
    tail: usize,
    omitted: u64,
}

/// Sends one value.
pub(super) fn send(stream: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_vec(value)?;
    let length = u32::try_from(json.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(json.len() + 4);
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&json);
    stream.write_all(&frame)
}

/// Receives one value; the end of the stream is an error.
pub(super) fn receive<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?;
    if length > MAX_HEADER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut json = vec![0; length];
    stream.read_exact(&mut json)?;
    Ok(serde_json::from_slice(&json)?)
}

/// Sends how a program ended and what it printed.
pub(super) fn send_finished(stream: &mut impl Write, finished: &Finished) -> io::Result<()> {
    let streams = [&finished.stdout, &finished.stderr];
    let lengths = streams.map(|s| Lengths { head: s.head.len(), tail: s.tail.len(), omitted: s.omitted });
    send(stream, &Reply { end: finished.end.clone(), streams: lengths })?;
    streams.iter().try_for_each(|s| stream.write_all(&s.head).and_then(|()| stream.write_all(&s.tail)))
}

/// Receives how a program ended and what it printed.
pub(super) fn receive_finished(stream: &mut impl Read) -> io::Result<Finished> {
    let Reply { end, streams: [out, err] } = receive(stream)?;
    Ok(Finished { end, stdout: receive_capture(stream, &out)?, stderr: receive_capture(stream, &err)? })
}

fn receive_capture(stream: &mut impl Read, lengths: &Lengths) -> io::Result<Capture> {
    if lengths.head.max(lengths.tail) > MAX_HEADER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut capture = Capture { head: vec![0; lengths.head], tail: vec![0; lengths.tail], omitted: lengths.omitted };
    stream.read_exact(&mut capture.head)?;
    stream.read_exact(&mut capture.tail)?;
    Ok(capture)
}

/// Paths as the system has them: they need not be text.
pub(super) mod path {
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(crate) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
        path.as_os_str().serialize(serializer)
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<PathBuf, D::Error> {
        OsString::deserialize(deserializer).map(PathBuf::from)
    }
}

/// Lists of paths.
pub(super) mod paths {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(paths.iter().map(|path| path.as_os_str()))
    }

    pub(crate) fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
        let paths = Vec::<OsString>::deserialize(deserializer)?;
        Ok(paths.into_iter().map(PathBuf::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    #[test]
    fn what_is_sent_is_received_whatever_bytes_are_in_it() {
        let odd = OsString::from_vec(vec![b'/', 0xff, b'\n']);
        let command = Command {
            program: odd.clone().into(),
            argv: vec![odd],
            stdin: vec![0, 255],
            env: vec![("A".into(), "b=c".into())],
            timeout: std::time::Duration::from_millis(1500),
            keep: 7,
            trusted: true,
        };
        let finished = Finished {
            end: End::Broken("why".to_owned()),
            stdout: Capture { head: vec![1, 0, 2], tail: vec![9], omitted: 1 << 40 },
            stderr: Capture::default(),
        };
        let mut bytes = Vec::new();
        send(&mut bytes, &Request::Run(command.clone())).unwrap();
        send_finished(&mut bytes, &finished).unwrap();
        let mut stream = bytes.as_slice();
        let Request::Run(received) = receive(&mut stream).unwrap() else { panic!("another request") };
        assert_eq!(format!("{received:?}"), format!("{command:?}"));
        assert_eq!(receive_finished(&mut stream).unwrap(), finished);
        assert!(receive::<Request>(&mut stream).is_err(), "the end of the stream is an error");
    }
}
