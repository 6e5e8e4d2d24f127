//! A server on loopback that answers at once: `turns` tool calls, then a text.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A running server for one run of one program.
pub struct Server {
    /// Its address.
    pub url: String,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Starts one that asks for `turns` tool calls before it answers.
    pub fn start(turns: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, answered) = (Arc::clone(&connections), Arc::new(AtomicUsize::new(0)));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                let answered = Arc::clone(&answered);
                std::thread::spawn(move || serve(stream, turns, &answered));
            }
        });
        Self { url, connections }
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn serve(mut stream: TcpStream, turns: usize, answered: &AtomicUsize) {
    stream.set_nodelay(true).expect("a socket option");
    let mut reader = BufReader::new(stream.try_clone().expect("a socket"));
    while read_request(&mut reader).is_some() {
        let n = answered.fetch_add(1, Ordering::Relaxed);
        let body = reply(n, n == turns);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let reply = format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        if stream.write_all(reply.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    Some(())
}

fn reply(n: usize, last: bool) -> String {
    let block = if last {
        "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
         data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"done\"}}\n\n"
            .to_owned()
    } else {
        format!(
            "data: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{{\"type\":\"tool_use\",\"id\":\"t{n}\",\
             \"name\":\"read_files\",\"input\":{{}}}}}}\n\n\
             data: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"input_json_delta\",\
             \"partial_json\":\"{{\\\"paths\\\":[\\\"a.txt\\\"]}}\"}}}}\n\n"
        )
    };
    let stop = if last { "end_turn" } else { "tool_use" };
    format!(
        "data: {{\"type\":\"message_start\",\"message\":{{\"id\":\"m{n}\",\"model\":\"m\",\"content\":[],\
         \"usage\":{{\"input_tokens\":10,\"output_tokens\":1}}}}}}\n\n{block}\
         data: {{\"type\":\"content_block_stop\",\"index\":0}}\n\n\
         data: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"{stop}\"}},\"usage\":{{\"output_tokens\":5}}}}\n\n\
         data: {{\"type\":\"message_stop\"}}\n\n"
    )
}
