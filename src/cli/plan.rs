//! `plan`: both sides on the line before anything is signed. The partner gets the proposed contract; both get the page that says what
//! it would open and cost.

use crate::cli::flags::PlanFlags;
use crate::cli::say;
use crate::contract::{Job, SharedJob, TaskTerms};
use crate::data::wording::{grouped, shown};
use crate::data::{Side, read_table};
use crate::error::{Exit, Failure};
use crate::model::ModelFile;
use crate::plan::forecast::{Sizes, forecast};
use crate::plan::preview::{Case, file_name, page};
use crate::plan::{self, Own};
use crate::progress::{Progress, Terminal, Watched};
use crate::recipe::{FitRows, Recipe};
use crate::results::write_private;
use crate::session::{Home, Identity, LinkSpec, Pins, connect, greet};
use colift_channel::tls::{Fingerprint, Limits};
use colift_channel::{Channel, StopFlag};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Plans a job with the peer.
///
/// # Errors
/// Exit codes 2 and 13 for the own job and file, 10 and 11 for the link, 16 and 19 for the peer's proposal, 17 where the forecast is over
/// a cap of the flags.
pub fn plan(side: Side, flags: &PlanFlags, stop: &StopFlag) -> Result<(), Failure> {
    let (home, seat) = (Home::from_env()?, Seat::of(side, flags)?);
    let identity = Identity::load(&home)?;
    let pins = Pins::load(&home)?;
    let peer = seat.peer(side, &identity, &pins)?;
    let limits = Limits { connect: Duration::from_secs(flags.connect_timeout), idle: Duration::from_secs(30), ..Limits::default() };
    eprintln!("waiting for the {}…", side.peer());
    let (spec, progress) = (LinkSpec::from(&seat.link()?), Terminal::new(side));
    progress.trying(spec.attempts());
    progress.waiting(spec.awaited());
    let mut link = connect(&identity, &pins, peer, &spec, &limits, stop)?;
    progress.connected(link.pulse());
    match over(&mut Watched::new(&mut link, &progress), side, flags, seat, &identity, peer, &progress) {
        Ok((job, text)) => {
            progress.waiting("the peer to take the last messages");
            link.close();
            drop(progress);
            finish(&job, &text)
        }
        Err(failure) => {
            link.abort(failure.exit as u8);
            Err(failure)
        }
    }
}

/// The first line of a job file that the next plan may replace.
const WRITTEN: &str = "# Written by `plan` from the owner's proposal and your [private] part; the next plan replaces it.";

/// What a side starts from.
enum Seat {
    /// The owner's whole job file.
    Job(PathBuf, Box<Job>),
    /// The partner's private part.
    Join(PathBuf, toml::Table),
}

impl Seat {
    fn of(side: Side, flags: &PlanFlags) -> Result<Self, Failure> {
        match (side, &flags.job, &flags.join) {
            (Side::Owner, Some(job), None) => Ok(Self::Job(job.clone(), Box::new(Job::load(job, side)?))),
            (Side::Partner, None, Some(path)) => {
                let unreadable = |what: String| Failure::new(Exit::Usage, 201, what).at(path.display().to_string());
                let text = std::fs::read_to_string(path).map_err(|error| unreadable(format!("the file cannot be read: {error}")))?;
                let table: toml::Table =
                    text.parse().map_err(|error: toml::de::Error| unreadable(format!("it is not TOML: {}", error.message())))?;
                if table.keys().map(String::as_str).ne(["private"]) {
                    return Err(unreadable("it must hold [private] and nothing else: [shared] comes from the owner".to_owned())
                        .hint("[private] with data, id and link, as in examples/jobs/partner.toml"));
                }
                Ok(Self::Join(path.clone(), table))
            }
            (Side::Owner, ..) => Err(Failure::new(Exit::Usage, 824, "the owner plans its job file").hint("colift-owner plan owner.toml")),
            (Side::Partner, ..) => {
                Err(Failure::new(Exit::Usage, 824, "the partner joins the owner's plan").hint("colift-partner plan --join private.toml"))
            }
        }
    }

    /// How to meet the peer.
    fn link(&self) -> Result<crate::contract::Link, Failure> {
        match self {
            Self::Job(_, job) => Ok(job.private().link.clone()),
            Self::Join(path, table) => {
                let link = table.get("private").and_then(|private| private.get("link")).and_then(|link| link.as_table());
                let missing = || {
                    Failure::new(Exit::Usage, 825, "link needs either listen or dial")
                        .at(format!("{}, [private] link", path.display()))
                        .hint("{ dial = \"owner.example.com:7411\" }")
                };
                crate::contract::Link::read(link.ok_or_else(missing)?)
            }
        }
    }

    /// The peer's key: the job's, or the one that is pinned.
    fn peer(&self, side: Side, identity: &Identity, pins: &Pins) -> Result<Fingerprint, Failure> {
        match self {
            Self::Job(_, job) => identity.peer_in(job.shared(), side),
            Self::Join(..) => {
                let good: Vec<_> = pins.good().collect();
                match good[..] {
                    [pin] => Ok(pin.fingerprint),
                    [] => Err(Failure::new(Exit::PeerKey, 413, "no peer is pinned here").hint("run `pair` on both sides first")),
                    _ => good.iter().find(|pin| pin.name == side.peer().name()).map(|pin| pin.fingerprint).ok_or_else(|| {
                        Failure::new(Exit::Usage, 826, format!("{} peers are pinned, none is called {}", good.len(), side.peer()))
                            .hint("pair that peer under this name, or revoke the others")
                    }),
                }
            }
        }
    }
}

/// Everything on the link; the side's job file and the page.
fn over(
    mut link: &mut dyn Channel,
    side: Side,
    flags: &PlanFlags,
    seat: Seat,
    identity: &Identity,
    peer: Fingerprint,
    progress: &dyn Progress,
) -> Result<(PathBuf, Page), Failure> {
    greet(&mut link, side)?;
    let (path, job) = match seat {
        Seat::Job(path, job) => {
            plan::propose(link, job.shared())?;
            (path, *job)
        }
        Seat::Join(path, private) => join(link, &path, &private, side, identity, peer)?,
    };
    let shared = job.shared();
    progress.stage("reading", 0, 1);
    let own = own(&job)?;
    progress.stage("reading", 1, 1);
    progress.stage("measuring", 0, 1);
    let met = plan::meet(link, side, own)?;
    progress.stage("measuring", 1, 1);
    let mut matched = vec![met.rows[0].min(met.rows[1])];
    if let Some(expected) = flags.overlap {
        if !(shared.terms().min_overlap.max(1)..=matched[0]).contains(&expected) {
            let what = format!("--overlap {expected}, possible are {} to {}", shared.terms().min_overlap.max(1), matched[0]);
            return Err(Failure::new(Exit::Usage, 827, what));
        }
        matched = vec![expected];
    }
    let cases = matched.into_iter().map(|matched| {
        let sizes = Sizes { rows: met.rows, features: met.features, matched };
        Ok(Case { matched, forecast: forecast(shared, &sizes, &met.link)? })
    });
    let cases: Vec<Case> = cases.collect::<Result<_, Failure>>()?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let text = page(shared, &met, &cases);
    let page = Page { text, json: flags.json.then(|| json(shared, &met, &cases)), file: folder.join(file_name(shared, side)) };
    caps(flags, &cases).map(|()| (path, page))
}

/// What is shown at the end.
struct Page {
    text: String,
    json: Option<String>,
    file: PathBuf,
}

fn finish(job: &Path, page: &Page) -> Result<(), Failure> {
    write_private(&page.file, page.text.as_bytes())?;
    match &page.json {
        Some(json) => say(json),
        None => say(page.text.trim_end()),
    }
    eprintln!("plan: {}", page.file.display());
    eprintln!("job: {}; read the plan, then `sign {}` on this side", job.display(), job.display());
    Ok(())
}

/// The same figures for programs.
fn json(shared: &SharedJob, met: &plan::Met, cases: &[Case]) -> String {
    let case = |case: &Case| {
        serde_json::json!({
            "matched": case.matched, "seconds": case.forecast.seconds, "waits": case.forecast.waits,
            "bytes_sent": { "owner": case.forecast.sent[0], "partner": case.forecast.sent[1] },
            "memory": { "owner": case.forecast.memory[0], "partner": case.forecast.memory[1] },
        })
    };
    serde_json::json!({
        "schema": "colift.plan/1", "contract": shared.digest(), "reveal": shared.terms().reveal.iter().map(|item| item.name()).collect::<Vec<_>>(),
        "rows": { "owner": met.rows[0], "partner": met.rows[1] }, "features": { "owner": met.features[0], "partner": met.features[1] },
        "round_trip_s": met.link.round_trip,
        "bytes_per_second": { "owner": met.link.bytes_a_second[0], "partner": met.link.bytes_a_second[1] },
        "transforms_per_second": { "owner": met.link.transforms[0], "partner": met.link.transforms[1] },
        "cases": cases.iter().map(case).collect::<Vec<_>>(),
    })
    .to_string()
}

/// Partner: the proposal becomes a job file beside the private part.
fn join(
    link: &mut dyn Channel,
    path: &Path,
    private: &toml::Table,
    side: Side,
    identity: &Identity,
    peer: Fingerprint,
) -> Result<(PathBuf, Job), Failure> {
    let shared = plan::receive(link)?;
    if identity.peer_in(&shared, side)? != peer {
        return Err(
            Failure::new(Exit::PeerKey, 828, "the proposed contract names another owner than the one on the line").at("[shared.peers]")
        );
    }
    let mut terms: toml::Table = shared.canonical().parse().map_err(|error: toml::de::Error| {
        Failure::new(Exit::Internal, 829, format!("the contract cannot be written: {}", error.message()))
    })?;
    terms.remove("contract");
    let mut table = toml::Table::new();
    table.insert("shared".to_owned(), terms.into());
    table.extend(private.clone());
    let text = format!("{WRITTEN}\n{table}");
    let folder = path.parent().unwrap_or(Path::new(""));
    let job = Job::parse(&text, side, folder).map_err(|mut failure| {
        failure.place = Some(failure.place.map_or_else(|| path.display().to_string(), |place| format!("{}, {place}", path.display())));
        failure
    })?;
    let file = folder.join(format!("{}.toml", shared.terms().name));
    let old = std::fs::read_to_string(&file).ok();
    if old.as_ref().is_some_and(|old| !old.starts_with(WRITTEN)) {
        return Err(Failure::new(Exit::Usage, 830, format!("{} was not written by `plan`", shown(&file.display().to_string())))
            .hint("move it away, or have the owner choose another name"));
    }
    write_private(&file, text.as_bytes())?;
    Ok((file, job))
}

/// What this side brings: rows, and features as far as the whole file tells.
fn own(job: &Job) -> Result<Own, Failure> {
    let mut spec = job.table_spec();
    if let Some(model) = &job.private().model {
        let model = ModelFile::load(model)?;
        spec.wishes = model.recipe.reading();
        spec.only = Some(spec.wishes.keys().cloned().collect());
        spec.skip_invalid_ids = true;
    }
    let table = read_table(&spec, job.side())?;
    job.shared().check_rows(job.side(), table.rows() as u64)?;
    let features = match &job.shared().terms().task {
        TaskTerms::Train(terms) => {
            let rows: Vec<usize> = (0..table.rows()).collect();
            let fit = FitRows { rows: &rows, labels: table.label.as_deref(), clip: terms.clip, wishes: &job.private().columns };
            Recipe::fit(&table.columns, fit)?.names().len()
        }
        TaskTerms::Score(_) | TaskTerms::Overlap => table.columns.len(),
    };
    Ok(Own { rows: table.rows() as u64, features: features as u32 })
}

/// Refuses a job over the caps of the flags.
fn caps(flags: &PlanFlags, cases: &[Case]) -> Result<(), Failure> {
    for case in cases {
        let (minutes, sent) = (case.forecast.seconds / 60.0, case.forecast.sent[0] + case.forecast.sent[1]);
        if let Some(most) = flags.max_minutes.filter(|most| minutes > *most) {
            let what = format!(
                "the run would take about {minutes:.1} minutes with {} shared users, --max-minutes is {most}",
                grouped(case.matched)
            );
            return Err(Failure::new(Exit::Cap, 831, what).hint("fewer rows or columns, or a higher cap"));
        }
        if let Some(most) = flags.max_megabytes.filter(|most| sent > most << 20) {
            let what =
                format!("both sides would send {} MiB with {} shared users, --max-megabytes is {most}", sent >> 20, grouped(case.matched));
            return Err(Failure::new(Exit::Cap, 831, what).hint("fewer rows or columns, or a higher cap"));
        }
    }
    Ok(())
}
