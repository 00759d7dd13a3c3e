//! The tests' two parties on one machine: homes with paired keys, job files, both programs with captured output, waits with deadlines.

use colift::data::Side;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, mpsc};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest life of any program that should end by itself; whoever lives longer hangs.
pub const HANG: Duration = Duration::from_secs(120);

/// A stream of numbers in [0, 1), the same on every machine.
pub struct Stream(pub u64);

impl Stream {
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// The programs under test.
pub fn program(side: Side) -> &'static str {
    match side {
        Side::Owner => env!("CARGO_BIN_EXE_colift-owner"),
        Side::Partner => env!("CARGO_BIN_EXE_colift-partner"),
    }
}

/// Both sides.
pub const SIDES: [Side; 2] = [Side::Owner, Side::Partner];

/// The committed case.
pub fn synthetic(side: Side) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/synthetic").join(format!("{side}.csv"))
}

static MACHINE: RwLock<()> = RwLock::new(());

/// For tests that may share the machine with others.
pub fn together() -> RwLockReadGuard<'static, ()> {
    MACHINE.read().unwrap_or_else(PoisonError::into_inner)
}

/// For tests that measure time or processor.
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}

/// A port of loopback that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Two homes and two working folders.
pub struct World {
    folder: TempDir,
    prints: [String; 2],
    /// Where one side listens.
    pub port: u16,
}

impl World {
    /// Both keys made, nothing pinned.
    pub fn unpaired() -> Self {
        let mut world = Self { folder: TempDir::new().unwrap(), prints: [String::new(), String::new()], port: free_port() };
        for side in SIDES {
            std::fs::create_dir(world.place(side)).unwrap();
            let made = world.run(side, &["init"]);
            assert_eq!(made.code, Some(0), "{made:?}");
            world.prints[side as usize] = made.out.trim().to_owned();
        }
        world
    }

    /// Both keys made and pinned by the real `pair`; the owner listens.
    pub fn new() -> Self {
        let world = Self::unpaired();
        world.pair(Side::Owner);
        world
    }

    /// Pairs with this side listening.
    pub fn pair(&self, listener: Side) {
        let address = format!("127.0.0.1:{}", self.port);
        let started = SIDES.map(|side| {
            let how = if side == listener { "--listen" } else { "--dial" };
            self.start(side, &["pair", how, &address, "--expect", self.print(side.peer())])
        });
        for program in started {
            let side = program.side;
            let ended = program.ended(HANG);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert_eq!(ended.out.trim(), self.print(side.peer()), "pair prints the pinned key");
        }
    }

    /// A side's fingerprint.
    pub fn print(&self, side: Side) -> &str {
        &self.prints[side as usize]
    }

    /// A side's working folder.
    pub fn place(&self, side: Side) -> PathBuf {
        self.folder.path().join(side.name())
    }

    /// A side's home of keys.
    pub fn home(&self, side: Side) -> PathBuf {
        self.folder.path().join(format!("{side}-home"))
    }

    /// A side's program in its own folder and home, with nothing of this machine's settings.
    pub fn command(&self, side: Side, arguments: &[&str]) -> Command {
        let mut command = Command::new(program(side));
        command.args(arguments).current_dir(self.place(side)).env("COLIFT_HOME", self.home(side));
        command.env_remove("COLIFT_LOG").env_remove("COLIFT_LOG_STDERR");
        command
    }

    /// Starts a side's program.
    pub fn start(&self, side: Side, arguments: &[&str]) -> Program {
        Program::start(side, self.command(side, arguments))
    }

    /// Runs a side's program to its end.
    pub fn run(&self, side: Side, arguments: &[&str]) -> Ended {
        self.start(side, arguments).ended(HANG)
    }

    /// Writes a side's job on the committed case, changed as wanted; the owner listens.
    pub fn job(&self, side: Side, change: impl FnOnce(&mut toml::Table)) {
        let how = if side == Side::Owner { "listen" } else { "dial" };
        let text = format!(
            r#"
            [shared]
            name = "case"
            task = "logistic"
            label = "label"
            id_kind = "email"
            expected_rate = "20-50%"
            logit_range = [-5.0, 5.0]
            min_overlap = 100
            max_rows = {{ owner = 1000, partner = 1000 }}
            reveal = ["overlap_to_both", "split_to_partner", "own_weights", "scores_to_owner", "metrics_to_owner", "converged_and_in_range"]
            [shared.peers]
            owner = "{}"
            partner = "{}"
            [private]
            data = "{}"
            id = "id"
            link = {{ {how} = "127.0.0.1:{}" }}
            "#,
            self.print(Side::Owner),
            self.print(Side::Partner),
            synthetic(side).display(),
            self.port,
        );
        let mut table: toml::Table = text.parse().unwrap();
        if side == Side::Owner {
            set(&mut table, "private.split", "split");
        }
        change(&mut table);
        std::fs::write(self.place(side).join("job.toml"), table.to_string()).unwrap();
        self.sign(side, "job.toml");
    }

    /// Signs a side's job. One that cannot be signed is refused by its run, in words of its own.
    pub fn sign(&self, side: Side, job: &str) {
        let _ = self.run(side, &["sign", job, "--yes"]);
    }

    /// Both jobs with the same change.
    pub fn jobs(&self, change: impl Fn(Side, &mut toml::Table)) {
        for side in SIDES {
            self.job(side, |table| change(side, table));
        }
    }

    /// Starts a side's run of its job; progress as lines, short deadlines.
    pub fn start_run(&self, side: Side, more: &[&str]) -> Program {
        self.sign(side, "job.toml");
        let mut arguments = vec!["run", "--job", "job.toml", "--lines"];
        for (flag, seconds) in [("--connect-timeout", "20"), ("--idle-timeout", "5")] {
            if !more.contains(&flag) {
                arguments.extend([flag, seconds]);
            }
        }
        arguments.extend(more);
        self.start(side, &arguments)
    }

    /// Runs both jobs to their ends: the owner's, the partner's.
    pub fn run_both(&self, more: &[&str]) -> [Ended; 2] {
        SIDES.map(|side| self.start_run(side, more)).map(|program| program.ended(HANG))
    }

    /// Whatever a side's runs left in its folder: results, and hidden folders of unfinished ones.
    pub fn left(&self, side: Side) -> Vec<PathBuf> {
        let runs = self.place(side).join("colift-runs");
        let mut found = Vec::new();
        for job in list(&runs) {
            found.extend(list(&job));
        }
        found
    }

    /// Fails when a side left anything, whole or partial.
    pub fn left_nothing(&self, side: Side, about: &str) {
        assert_eq!(self.left(side), Vec::<PathBuf>::new(), "{about}: the {side} left something behind");
    }
}

/// Sets `table.key` or `table.key.key` to a value.
pub fn set(table: &mut toml::Table, key: &str, value: impl Into<toml::Value>) {
    match key.split_once('.') {
        Some((first, rest)) => set(table.get_mut(first).unwrap().as_table_mut().unwrap(), rest, value),
        None => drop(table.insert(key.to_owned(), value.into())),
    }
}

/// Changes a job into one that only measures the overlap.
pub fn overlap_only(table: &mut toml::Table) {
    let shared = table["shared"].as_table_mut().unwrap();
    for key in ["label", "expected_rate", "logit_range", "reveal"] {
        shared.remove(key);
    }
    set(table, "shared.task", "overlap");
    set(table, "shared.reveal", vec!["overlap_to_both"]);
}

/// Entries of a folder in order; none where it does not exist.
pub fn list(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// Names of a folder's entries.
pub fn names(folder: &Path) -> Vec<String> {
    list(folder).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

/// The folder that the last line of stdout names.
pub fn results(world: &World, side: Side, ended: &Ended) -> PathBuf {
    let last = ended.out.lines().last().unwrap_or_default();
    let shown = last.strip_prefix("results: ").unwrap_or_else(|| panic!("the last line names no folder: {last}"));
    world.place(side).join(shown)
}

/// Text that a program has written so far.
#[derive(Default)]
struct Captured {
    text: Mutex<Vec<u8>>,
    /// How long the text was when more of it came, and when that was.
    grown: Mutex<Vec<(usize, Instant)>>,
    more: Condvar,
}

impl Captured {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock()).into_owned()
    }

    fn add(&self, bytes: &[u8]) {
        let mut text = self.lock();
        self.grown.lock().unwrap().push((text.len(), Instant::now()));
        text.extend_from_slice(bytes);
        self.more.notify_all();
    }

    /// Every line, and when its first byte came.
    fn lines(&self) -> Vec<(Instant, String)> {
        let (text, grown) = (self.lock(), self.grown.lock().unwrap());
        let (mut start, mut lines) = (0, Vec::new());
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let portion = grown.iter().rev().find(|(before, _)| *before <= start).unwrap();
            lines.push((portion.1, String::from_utf8_lossy(line).trim_end().to_owned()));
            start += line.len();
        }
        lines
    }
}

/// A program at work. Dropped early, it is killed.
pub struct Program {
    /// Whose it is.
    pub side: Side,
    child: Child,
    started: Instant,
    captured: [Arc<Captured>; 2],
    drained: mpsc::Receiver<()>,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Whose it was.
    pub side: Side,
    /// Its exit code; None when a signal ended it.
    pub code: Option<i32>,
    /// The signal.
    pub signal: Option<i32>,
    /// stdout.
    pub out: String,
    /// stderr.
    pub err: String,
    /// From start to end.
    pub took: Duration,
    /// When it was started.
    pub started: Instant,
    /// Every line of stderr, and when it came.
    pub lines: Vec<(Instant, String)>,
}

impl Program {
    /// Starts a command and captures what it says.
    pub fn start(side: Side, command: Command) -> Self {
        Self::start_with(side, command, Stdio::null())
    }

    /// The same with a standard input of its own.
    pub fn start_with(side: Side, mut command: Command, input: Stdio) -> Self {
        let started = Instant::now();
        let mut child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let captured = [Arc::new(Captured::default()), Arc::new(Captured::default())];
        let (done, drained) = mpsc::channel();
        let pipes: [Box<dyn Read + Send>; 2] = [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for (pipe, captured) in pipes.into_iter().zip(captured.clone()) {
            let done = done.clone();
            std::thread::spawn(move || {
                let (mut pipe, mut buffer) = (BufReader::new(pipe), [0u8; 4096]);
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    captured.add(&buffer[..count]);
                }
                let _ = done.send(());
            });
        }
        Self { side, child, started, captured, drained }
    }

    /// What it has written to stderr so far.
    pub fn err(&self) -> String {
        self.captured[1].text()
    }

    /// Waits until stderr holds these words.
    pub fn wait_for(&self, words: &str) {
        let deadline = Instant::now() + HANG;
        let mut text = self.captured[1].lock();
        while !String::from_utf8_lossy(&text).contains(words) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the {} never said `{words}`:\n{}", self.side, String::from_utf8_lossy(&text));
            text = self.captured[1].more.wait_timeout(text, left.min(Duration::from_millis(100))).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Its standard input, where it was given a pipe.
    pub fn input(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Waits for its end; one that lives longer hangs, and the test fails.
    pub fn ended(mut self, within: Duration) -> Ended {
        let deadline = Instant::now() + within;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the {} hangs; it said:\n{}", self.side, self.err());
            std::thread::sleep(Duration::from_millis(5));
        };
        let took = self.started.elapsed();
        // The pipes close when the last process that holds them has ended.
        for _ in 0..2 {
            let drained = self.drained.recv_timeout(Duration::from_secs(10));
            assert!(drained.is_ok(), "the {} ended and left a process behind; it said:\n{}", self.side, self.err());
        }
        let [out, err] = [&self.captured[0], &self.captured[1]].map(|captured| captured.text());
        let (started, lines) = (self.started, self.captured[1].lines());
        Ended { side: self.side, code: status.code(), signal: status.signal(), out, err, took, started, lines }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Fails unless it ended well.
    pub fn fine(&self) -> &Self {
        assert_eq!(self.code, Some(0), "the {} failed:\n{}\n{}", self.side, self.out, self.err);
        self
    }

    /// Fails unless it ended with this code and error after it had printed something.
    pub fn failed_with_data(&self, code: i32, words: &str) {
        assert!(self.code == Some(code) && self.err.contains(words), "the {} ended with {:?}:\n{}", self.side, self.code, self.err);
    }

    /// Fails unless it ended with one of these codes and a named error that holds these words; a refusal prints nothing as data.
    pub fn failed(&self, codes: &[i32], words: &[&str], about: &str) -> &Self {
        let code = self.code.unwrap_or(-1);
        assert!(
            codes.contains(&code),
            "{about}: the {} ended with {:?}, signal {:?}, not {codes:?}:\n{}",
            self.side,
            self.code,
            self.signal,
            self.err
        );
        assert!(self.err.contains("error[E"), "{about}: the {}'s error has no name:\n{}", self.side, self.err);
        assert!(!self.err.contains("panicked"), "{about}: the {} panicked:\n{}", self.side, self.err);
        assert_eq!(self.out, "", "{about}: the {} failed and printed data", self.side);
        for words in words {
            assert!(self.err.contains(words), "{about}: the {} does not say `{words}`:\n{}", self.side, self.err);
        }
        self
    }
}
