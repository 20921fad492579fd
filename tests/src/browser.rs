//! A headless Chromium, spoken to over its debugging protocol. It ends with the value that stands for it.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

/// No answer takes this long unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser process, and its one page.
pub struct Browser {
    process: Child,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    next: u64,
    /// What the page complained of: errors and warnings of its console, exceptions, refusals.
    pub complaints: Vec<String>,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    /// Starts a browser; `None` where there is none on this machine.
    ///
    /// # Panics
    /// Where there is one and it cannot be used, or where `GRIDKEY_REQUIRE_CHROMIUM` asks for one.
    pub fn start() -> Option<Self> {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let found = std::env::var_os("PATH").and_then(|path| {
            let folders: Vec<_> = std::env::split_paths(&path).collect();
            names
                .iter()
                .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
                .find(|p| p.is_file())
        });
        let Some(program) = found else {
            assert!(std::env::var_os("GRIDKEY_REQUIRE_CHROMIUM").is_none(), "there is no Chromium");
            return None;
        };
        let profile = tempfile::tempdir().expect("a folder for the profile");
        let mut process = Command::new(program)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--remote-debugging-port=0", "--remote-debugging-address=127.0.0.1"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the browser starts");
        let errors = BufReader::new(process.stderr.take().expect("it is piped"));
        let mut lines = errors.lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("DevTools listening on ").map(ToString::to_string));
        let address = address.expect("the browser says where it listens");
        // Whatever else it says is read away, or it would stand still.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let host = address.strip_prefix("ws://").and_then(|rest| rest.split('/').next()).expect("an address");
        let stream = TcpStream::connect(host).expect("the browser listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let (socket, _) =
            tungstenite::client(address.as_str(), stream).expect("the browser speaks its protocol");
        let mut browser =
            Self { process, socket, session: None, next: 0, complaints: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", &attach);
        browser.session = session["sessionId"].as_str().map(ToString::to_string);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, &json!({}));
        }
        Some(browser)
    }

    /// Opens a file, and waits until it is loaded.
    pub fn open(&mut self, file: &Path) {
        self.call("Page.navigate", &json!({ "url": format!("file://{}", file.display()) }));
        while self.read()["method"] != "Page.loadEventFired" {}
    }

    /// Makes the window so many pixels wide.
    pub fn widen(&mut self, width: u32) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Lays the page out for `screen` or `print`.
    pub fn medium(&mut self, medium: &str) {
        self.call("Emulation.setEmulatedMedia", &json!({ "media": medium }));
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let call = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", &call);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut request = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            request["sessionId"] = session.clone().into();
        }
        self.socket.send(Message::text(request.to_string())).expect("the browser is there");
        loop {
            let answer = self.read();
            if answer["id"] == id {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
        }
    }

    /// The next message; complaints are kept.
    fn read(&mut self) -> Value {
        let message = self.socket.read().expect("the browser answers");
        let message: Value = serde_json::from_str(message.to_text().expect("text")).expect("JSON");
        let parameters = &message["params"];
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(parameters.to_string()),
            Some("Runtime.consoleAPICalled") if parameters["type"] != "log" => {
                self.complaints.push(parameters.to_string());
            }
            Some("Log.entryAdded") => self.complaints.push(parameters.to_string()),
            _ => {}
        }
        message
    }
}
