//! Replies of a real server (llama.cpp), as it sent them: what they mean, and that it does not matter where reads end.

use std::fs;
use std::path::Path;

use super::testing::{head, quirks};
use super::{ApiError, End, Ended, ErrorClass, ReplyHead, ReplyReader, named};
use crate::chat::{Arguments, StopReason};

struct Capture {
    wire: &'static str,
    head: ReplyHead,
    body: Vec<u8>,
}

impl Capture {
    fn open(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/captures");
        let body = fs::read(folder.join(format!("{name}.sse"))).unwrap();
        let text = fs::read_to_string(folder.join(format!("{name}.headers"))).unwrap();
        let mut lines = text.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let wire = match name.split('-').next() {
            Some("messages") => "anthropic",
            Some("responses") => "openai-responses",
            _ => "openai-chat",
        };
        Self { wire, head: ReplyHead { status, headers }, body }
    }

    fn read(&self, split: usize) -> Ended {
        let quirks = quirks();
        let mut reader = ReplyReader::new(named(self.wire).unwrap().decoder(&head(&quirks)), self.head.clone());
        let (first, second) = self.body.split_at(split);
        let _ = reader.feed(first, &mut |_| {});
        let _ = reader.feed(second, &mut |_| {});
        reader.finish(End::Eof, &mut |_| {})
    }
}

/// Name, stop reason or failure, text begins with, names of calls, usable calls.
type Expected = (&'static str, Result<StopReason, ErrorClass>, &'static str, usize, usize);

const CAPTURES: &[Expected] = &[
    ("chat-cut", Err(ErrorClass::Truncated), "Once upon a time", 0, 0),
    ("chat-ping", Ok(StopReason::End), "", 0, 0),
    ("chat-stop", Ok(StopReason::End), "", 0, 0),
    ("chat-text-nostream", Ok(StopReason::End), "Hello! How can", 0, 0),
    ("chat-text-nousage", Ok(StopReason::End), "Hello! How can", 0, 0),
    ("chat-tool-maxtokens", Ok(StopReason::Length), "", 1, 0),
    ("chat-tool-nostream", Ok(StopReason::ToolUse), "", 1, 1),
    ("chat-tools2", Ok(StopReason::ToolUse), "", 2, 2),
    ("chat-unicode", Ok(StopReason::End), "", 0, 0),
    ("messages-cut", Err(ErrorClass::Truncated), "Once upon a time", 0, 0),
    ("messages-maxtokens", Ok(StopReason::Length), "", 0, 0),
    ("messages-ping", Ok(StopReason::End), "", 0, 0),
    ("messages-stop", Ok(StopReason::End), "", 0, 0),
    ("messages-tool-maxtokens", Ok(StopReason::Length), "", 1, 0),
    ("messages-tool-nostream", Ok(StopReason::ToolUse), "", 1, 1),
    ("messages-tools2", Ok(StopReason::ToolUse), "", 2, 2),
    ("messages-unicode", Ok(StopReason::End), "", 0, 0),
    ("responses-maxtokens", Ok(StopReason::End), "To count from 1 to 100, you", 0, 0),
    ("responses-result", Ok(StopReason::End), "", 0, 0),
    ("responses-tools2", Ok(StopReason::ToolUse), "", 2, 2),
    ("chat-err-overflow", Err(ErrorClass::ContextLength), "", 0, 0),
    ("messages-err-badkey", Err(ErrorClass::Auth), "", 0, 0),
    ("messages-err-nomessages", Err(ErrorClass::Server), "", 0, 0),
    ("responses-err-noinput", Err(ErrorClass::BadRequest), "", 0, 0),
    ("err-notfound", Err(ErrorClass::NotFound), "", 0, 0),
];

#[test]
fn captures_mean_what_they_say() {
    for (name, ending, text, calls, usable) in CAPTURES {
        let ended = Capture::open(name).read(0);
        let seen = ended.error.as_ref().map_or(Ok(ended.reply.stop), |error| Err(error.class));
        assert_eq!(&seen, ending, "{name}: {ended:?}");
        assert!(ended.reply.text().starts_with(text), "{name}: {ended:?}");
        assert!(ended.error.is_some() || *calls > 0 || !ended.reply.text().is_empty(), "{name}: {ended:?}");
        let objects = ended.reply.tools().filter(|call| matches!(call.arguments, Arguments::Object(_))).count();
        assert_eq!((ended.reply.tools().count(), objects), (*calls, *usable), "{name}");
    }
}

#[test]
fn read_sizes_do_not_matter() {
    for (name, ..) in CAPTURES {
        let capture = Capture::open(name);
        let whole = format!("{:?}", capture.read(0));
        for split in 1..=capture.body.len() {
            assert_eq!(format!("{:?}", capture.read(split)), whole, "{name} at {split}");
        }
    }
}

#[test]
fn a_reply_may_break_off_anywhere() {
    for (name, ..) in CAPTURES {
        let mut capture = Capture::open(name);
        for length in (0..capture.body.len()).rev() {
            capture.body.truncate(length);
            let quirks = quirks();
            let mut reader =
                ReplyReader::new(named(capture.wire).unwrap().decoder(&head(&quirks)), capture.head.clone());
            let _ = reader.feed(&capture.body, &mut |_| {});
            let cut = ApiError::new(ErrorClass::Truncated, "cut");
            let ended = reader.finish(End::Failed(cut), &mut |_| {});
            let refused = capture.head.status >= 400;
            let class = ended.error.map(|error| error.class);
            assert!(refused || matches!(class, None | Some(ErrorClass::Truncated)), "{name} at {length}: {class:?}");
        }
    }
}
