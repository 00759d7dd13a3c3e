//! **Purpose** matching by an oblivious pseudo-random function from VOLE and a key-value store: a million ids in about a second.
//!
//! **Functionality** First puts in a set X, Second a set Y. Each side gets the positions of its own rows of X ∩ Y, both in one
//! common order (ascending tags, pseudo-random), and the peer's size. The smaller side *receives* the tags (First where
//! sizes are equal) and proves its matches. If |X ∩ Y| < `min_overlap`, the run ends (see Security).
//!
//! **Security** [`Security::Malicious`]: a failed check is a terminal abort. A malicious sender or receiver learns which of its ids
//! are common, sizes, and at most bits of its own guesses about noise or Δ, each wrong guess being an abort. It can bring
//! invented ids, up to its size as sender; as receiver up to the bound
//! n′ ≤ 1.53·m for a store of m elements and 2^64 hash calls (docs/protocols/psi.md). A receiver may leave out matches, or stop before it proves them; it
//! cannot claim one that it does not have. [`Security::SemiHonest`] leaves the checks out and shortens tags to 40 + ⌈log₂ nm⌉ bits:
//! false matches ≤ 2^-40 a run. Both rest on dual LPN unless the form says [`VoleMode::Conservative`].
//! `min_overlap`: before anything else, common ids of a public sample are counted ([`crate::ecdh`]): both learn that
//! estimate, exact for small sets, and a clear miss ends the run (no counting where no estimate could be a clear miss). After the tags the exact number decides; then the
//! receiver already knows its matches, the sender only their number.
//!
//! **Cost** with n_s and n_r ids of sender and receiver, m = store length (1.35·n_r), tags of L bits: VOLE of m rows, 16·m + 16 (32
//! malicious) bytes of store, n_s·(L − ⌊log₂ n_s⌋ + 1 to 2)/8 of tags, n_s/8 + 40 of matches; malicious 80 more. At 2^20 each about 29
//! bytes an item semi-honest, 36 malicious. [`declare_match`] is exact.
//!
//! **Messages** parameters' digest, role, size · if there is a minimum: the sample's counting · malicious: sender: commitment to its
//! shift · VOLE · receiver: seed of the store, its shift; masked store · sender: its shift; tags, ascending · receiver: how many
//! matched; which, by rank, with a proof.
//!
//! Where the larger side claims more than 2^22 ids, all from the commitment on is done once for each bucket (`buckets`), and the exact
//! number decides on `min_overlap` after the last one: then both know their matches.
//!
//! **Source** ePrint 2022/320 (RR22), Fig. 4 and 5; [`okvs`](colift_primitives::okvs), [`colift_correlation::vole`]. C = A'·Δ + B there is a = b +
//! c·Δ here. Deviations: tags sorted and coded (`tags`); matches proved at once by a hash of the outputs' second halves.
//!
//! **Example**
//! ```
//! use colift_correlation::Role;
//! use colift_psi::{MatchParams, VoleForm, vole::match_ids};
//! let params = MatchParams { session: [7; 32], own_max: 10, peer_max: 10, min_overlap: 0 };
//! let form = VoleForm::default();
//! let (mut a, mut b) = colift_channel::memory::pair();
//! let peer = std::thread::spawn(move || match_ids(&mut b, Role::Second, &["w", "x", "y"], form, params, &|_, _| ()));
//! let ours = match_ids(&mut a, Role::First, &["x", "z"], form, params, &|_, _| ())?;
//! assert_eq!((ours.own_rows, peer.join().unwrap()?.own_rows), (vec![0], vec![1]));
//! # Ok::<(), colift_psi::PsiError>(())
//! ```

mod buckets;
mod estimate;
pub(crate) mod names;
mod oprf;
mod sort;
mod tags;

use crate::ecdh::{self, Matched};
use crate::{MatchParams, Progress, PsiError};
use buckets::{Bucket, Limits, Plan, Spill};
use colift_channel::{Channel, Kind, Meter};
use colift_correlation::vole::{self, VoleMode, VoleParams, VoleReceived, VoleSent};
use colift_correlation::{Role, Security};
use colift_primitives::PrimitivesError;
use colift_primitives::bits::Bits;
use colift_primitives::buffer::{Buffer, Reuse};
use colift_primitives::gf128;
use colift_primitives::hash::PartHash;
use colift_primitives::okvs::{OkvsParams, Rows};
use colift_primitives::rng::{Prg, Seed, os_bytes};
use estimate::Sample;
use oprf::{OutputHash, Outputs};
use subtle::ConstantTimeEq;
use tags::TagCode;

const COMMITMENT: Kind = Kind { code: 0x0210, name: "matching: commitment to a shift" };
const SEED: Kind = Kind { code: 0x0211, name: "matching: seed of the store" };
const STORE: Kind = Kind { code: 0x0212, name: "matching: masked store" };
const SHIFT: Kind = Kind { code: 0x0213, name: "matching: opened shift" };
const TAGS: Kind = Kind { code: 0x0214, name: "matching: tags" };
const COUNT: Kind = Kind { code: 0x0215, name: "matching: number of matches" };
const MATCHES: Kind = Kind { code: 0x0216, name: "matching: matches and proof" };

/// Elements of one frame of the store: 1 MiB.
const FRAME_ELEMENTS: usize = 1 << 16;
/// Bytes of one frame of tags.
const FRAME_BYTES: usize = 1 << 20;
/// Seeds tried for a store; each fails with probability 2^-40.
const MOST_SEEDS: usize = 8;
const SHIFT_BYTES: usize = 16 + 32;

/// The form of the protocol that both sides agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VoleForm {
    /// Which peer is withstood.
    pub security: Security,
    /// Where VOLE rows come from.
    pub mode: VoleMode,
}

impl Default for VoleForm {
    fn default() -> Self {
        Self { security: Security::Malicious, mode: VoleMode::Silent }
    }
}

/// Matches our ids with the peer's; both sides learn their matched rows.
///
/// # Errors
/// Config class: our ids are repeated or too many. Peer class: other parameters, too many ids, malformed messages. Abort class:
/// a failed check, [`PsiError::BelowMinimum`]. The link's errors.
pub fn match_ids<I: AsRef<[u8]> + Sync>(
    channel: &mut (impl Channel + ?Sized),
    role: Role,
    ids: &[I],
    form: VoleForm,
    params: MatchParams,
    progress: Progress<'_>,
) -> Result<Matched, PsiError> {
    match_within(channel, role, ids, form, params, Limits::STANDARD, progress)
}

/// As [`match_ids`], with the limits above which there are buckets.
fn match_within<I: AsRef<[u8]> + Sync>(
    channel: &mut (impl Channel + ?Sized),
    role: Role,
    ids: &[I],
    form: VoleForm,
    params: MatchParams,
    limits: Limits,
    progress: Progress<'_>,
) -> Result<Matched, PsiError> {
    params.check_own(ids.len())?;
    let _reuse = Reuse::begin();
    // Step 1: names, kept where they are few; parameters and sizes.
    let names = (ids.len() <= limits.at_once).then(|| names::of_ids(&params.session, ids));
    match &names {
        Some(names) => names::check_distinct(names)?,
        None => names::check_distinct_ids(&params.session, ids)?,
    }
    let peer = ecdh::exchange_sizes(channel, role, ids.len(), &params, digest(&params, role, form))?;
    // Step 2: the decision on a sample.
    let sample = Sample::new([ids.len(), peer], params.min_overlap);
    if sample.decides(params.min_overlap) {
        estimate::decide(channel, role, ids, &sample, &params, progress)?;
    }
    let own_rows = match (Plan::new(ids.len(), peer, limits), names) {
        (None, Some(names)) => Run::whole(role, form, params, [ids.len(), peer]).run(channel, names, progress)?,
        (None, None) => Run::whole(role, form, params, [ids.len(), peer]).run(channel, names::of_ids(&params.session, ids), progress)?,
        (Some(plan), names) => {
            drop(names);
            let spill = Spill::fill(plan, &params.session, ids)?;
            in_buckets(channel, &Run::whole(role, form, params, [ids.len(), peer]), plan, spill, progress)?
        }
    };
    Ok(Matched { own_rows, peer_count: peer as u64 })
}

/// Matches bucket after bucket.
fn in_buckets(
    channel: &mut (impl Channel + ?Sized),
    whole: &Run,
    plan: Plan,
    mut spill: Spill,
    progress: Progress<'_>,
) -> Result<Vec<u32>, PsiError> {
    let total = (whole.own + whole.peer) as u64;
    let mut own_rows = Vec::new();
    for number in 0..plan.buckets {
        let Bucket { names, rows } = spill.take(number)?;
        let share = |done: u64, of: u64| {
            progress((total as f64 * (number as f64 + done as f64 / of.max(1) as f64) / plan.buckets as f64) as u64, total)
        };
        let places = whole.bucket(plan, number).run(channel, names, &share)?;
        for place in places {
            // A random name that matched.
            own_rows.push(*rows.get(place as usize).ok_or(PsiError::TagCollision)?);
        }
    }
    progress(total, total);
    whole.check_minimum(own_rows.len() as u64)?;
    Ok(own_rows)
}

/// A digest of all that both sides must hold alike.
fn digest(params: &MatchParams, role: Role, form: VoleForm) -> [u8; 32] {
    let mode = match form.mode {
        VoleMode::Conservative => 1,
        VoleMode::Silent => 2,
    };
    let hash = PartHash::new("colift matching parameters, VOLE v2").part(&params.digest(role));
    hash.part(&[form.security.byte(), mode]).finish()
}

/// One matching after its sizes are known.
struct Run {
    role: Role,
    form: VoleForm,
    params: MatchParams,
    own: usize,
    peer: usize,
    /// So many matchings of this size share one bound on false matches.
    repeated: usize,
}

impl Run {
    /// Of all ids at once.
    fn whole(role: Role, form: VoleForm, params: MatchParams, [own, peer]: [usize; 2]) -> Self {
        Self { role, form, params, own, peer, repeated: 1 }
    }

    /// Of one bucket: a session and sizes of its own, no minimum.
    fn bucket(&self, plan: Plan, number: usize) -> Self {
        let params = MatchParams { session: buckets::session(&self.params.session, number), min_overlap: 0, ..self.params };
        Self { role: self.role, form: self.form, params, own: plan.own, peer: plan.peer, repeated: plan.buckets }
    }

    /// The positions of own names that are common.
    fn run(&self, channel: &mut (impl Channel + ?Sized), names: Buffer<[u128; 2]>, progress: Progress<'_>) -> Result<Vec<u32>, PsiError> {
        if self.receives() { self.receive(channel, names, progress) } else { self.send(channel, names, progress) }
    }

    /// Whether this side receives the tags.
    fn receives(&self) -> bool {
        self.own < self.peer || (self.own == self.peer && self.role == Role::First)
    }

    fn malicious(&self) -> bool {
        self.form.security == Security::Malicious
    }

    fn vole(&self, store: &OkvsParams) -> VoleParams {
        VoleParams { length: store.len(), security: self.form.security, mode: self.form.mode, session: self.params.session }
    }

    fn output_hash(&self) -> OutputHash {
        OutputHash::new(self.form.security, &self.params.session, [self.own.max(1).saturating_mul(self.repeated), self.peer])
    }

    fn report(&self, progress: Progress<'_>, share: f64) {
        let total = (self.own + self.peer) as u64;
        progress((share * total as f64) as u64, total);
    }

    /// The side with Δ: its rows that the peer proved to have.
    fn send(&self, channel: &mut (impl Channel + ?Sized), names: Buffer<[u128; 2]>, progress: Progress<'_>) -> Result<Vec<u32>, PsiError> {
        let store = OkvsParams::for_items(self.peer)?;
        // Step 3: commit to a shift, so that neither side chooses their sum.
        let opening = os_bytes::<SHIFT_BYTES>()?;
        if self.malicious() {
            channel.send(COMMITMENT, &commitment(&self.params, opening.as_slice()))?;
        }
        // Step 4: VOLE.
        let VoleSent { delta, mut b } = vole::send(channel, self.role, &self.vole(&store))?;
        self.report(progress, 0.4);
        // Step 5: the masked store s makes b to b + s·Δ.
        let head = channel.receive(SEED, self.seed_bytes())?;
        let (seed, shift) = (Seed::from_bytes(block(&head, 0).to_le_bytes()), block(&head, 1));
        for b in b.chunks_mut(FRAME_ELEMENTS) {
            let wire = channel.receive(STORE, 16 * b.len())?;
            let masked: Vec<u128> = wire.as_chunks().0.iter().map(|bytes| u128::from_le_bytes(*bytes)).collect();
            gf128::add_scaled(b, &masked, *delta);
        }
        // Step 6: tags.
        let rows = Rows::place(&store, &seed, &names);
        drop(names);
        let values = rows.decode(&b);
        drop(b);
        let shift = if self.malicious() { shift ^ block(opening.as_slice(), 0) } else { 0 };
        let outputs = self.output_hash().outputs(rows, values, shift, Some(*delta));
        if outputs.collide() {
            return Err(PsiError::TagCollision);
        }
        if self.malicious() {
            channel.send(SHIFT, opening.as_slice())?;
        }
        for frame in TagCode::new(self.own, outputs.bits()).encode(outputs.tags()).chunks(FRAME_BYTES) {
            channel.send(TAGS, frame)?;
        }
        self.report(progress, 0.9);
        // Step 7: the number, then the matches with their proof.
        let count = channel.receive(COUNT, 8)?;
        let count = u64::from_le_bytes(*count.first_chunk().ok_or(PsiError::InvalidMatches)?);
        if count > self.own.min(self.peer) as u64 {
            return Err(PsiError::InvalidMatches);
        }
        self.check_minimum(count)?;
        let wire = channel.receive(MATCHES, self.own.div_ceil(8) + 32)?;
        let (proof, bits) = wire.split_first_chunk::<32>().ok_or(PsiError::InvalidMatches)?;
        let matched = Bits::from_bytes(bits, self.own).ok_or(PsiError::InvalidMatches)?;
        let ranks = || (0..self.own).zip(matched.iter()).filter(|(_, matched)| *matched).map(|(rank, _)| rank);
        if ranks().count() as u64 != count {
            return Err(PsiError::InvalidMatches);
        }
        if !bool::from(outputs.proof(&self.params.session, ranks()).ct_eq(proof)) {
            return Err(PsiError::FalseMatches);
        }
        self.report(progress, 1.0);
        Ok(ranks().filter_map(|rank| outputs.row(rank)).collect())
    }

    /// The side with the store: its rows among the peer's tags.
    fn receive(
        &self,
        channel: &mut (impl Channel + ?Sized),
        names: Buffer<[u128; 2]>,
        progress: Progress<'_>,
    ) -> Result<Vec<u32>, PsiError> {
        let store = OkvsParams::for_items(self.own)?;
        // Step 3: the peer's commitment.
        let committed = if self.malicious() { channel.receive(COMMITMENT, 32)? } else { Vec::new() };
        // Step 4: VOLE; meanwhile the store, whose seed nothing depends on yet. Randomness is drawn on this thread (docs/adr/0024).
        let seeds = Prg::from_os()?;
        let (received, encoded) = std::thread::scope(|scope| {
            let encoding = scope.spawn(|| encode(&store, names, seeds));
            let received = vole::receive(channel, self.role, &self.vole(&store));
            (received, encoding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let (VoleReceived { a, c }, Encoded { seed, rows, values }) = (received?, encoded?);
        self.report(progress, 0.4);
        // Step 5: the store, masked by c.
        let shift = os_bytes::<16>()?;
        channel.send(SEED, &[seed.as_bytes().as_slice(), shift.as_slice()].concat()[..self.seed_bytes()])?;
        for (values, c) in values.chunks(FRAME_ELEMENTS).zip(c.chunks(FRAME_ELEMENTS)) {
            let masked: Vec<u128> = values.iter().zip(c).map(|(value, c)| (value ^ c).to_le()).collect();
            channel.send(STORE, bytemuck::cast_slice(&masked))?;
        }
        drop((values, c));
        // Step 6: own outputs, the peer's tags.
        let decoded = rows.decode(&a);
        drop(a);
        let mut sum = 0;
        if self.malicious() {
            let opening = channel.receive(SHIFT, SHIFT_BYTES)?;
            if !bool::from(commitment(&self.params, &opening).as_slice().ct_eq(&committed)) {
                return Err(PsiError::ShiftOpening);
            }
            sum = block(&opening, 0) ^ block(shift.as_slice(), 0);
        }
        let outputs = self.output_hash().outputs(rows, decoded, sum, None);
        if outputs.collide() {
            return Err(PsiError::TagCollision);
        }
        let code = TagCode::new(self.peer, outputs.bits());
        let mut wire = Buffer::<u8>::scratch(code.bytes());
        for frame in wire.chunks_mut(FRAME_BYTES) {
            frame.copy_from_slice(&channel.receive(TAGS, frame.len())?);
        }
        self.report(progress, 0.9);
        // Step 7: the number, then the matches with their proof.
        let matches = join(&outputs, code, &wire, self.peer)?;
        drop(wire);
        channel.send(COUNT, &(matches.own.len() as u64).to_le_bytes())?;
        self.check_minimum(matches.own.len() as u64)?;
        let proof = outputs.proof(&self.params.session, matches.own.iter().map(|rank| *rank as usize));
        channel.send(MATCHES, &[proof.as_slice(), &matches.theirs.to_bytes()].concat())?;
        self.report(progress, 1.0);
        Ok(matches.own.iter().filter_map(|rank| outputs.row(*rank as usize)).collect())
    }

    fn seed_bytes(&self) -> usize {
        if self.malicious() { 32 } else { 16 }
    }

    fn check_minimum(&self, overlap: u64) -> Result<(), PsiError> {
        let minimum = self.params.min_overlap;
        if overlap < minimum { Err(PsiError::BelowMinimum { minimum, overlap }) } else { Ok(()) }
    }
}

/// A store with its seed and the receiver's rows.
struct Encoded {
    seed: Seed,
    rows: Rows,
    values: Buffer<u128>,
}

/// Encodes key ↦ element; takes another seed where one fails.
fn encode(store: &OkvsParams, names: Buffer<[u128; 2]>, mut seeds: Prg) -> Result<Encoded, PsiError> {
    for _ in 0..MOST_SEEDS {
        let seed = seeds.next_seed();
        let rows = Rows::place(store, &seed, &names);
        if let Some(values) = rows.encode() {
            return Ok(Encoded { seed, rows, values });
        }
    }
    Err(PrimitivesError::StoreFailed.into())
}

/// The k-th 16 bytes; 0 where there are none.
fn block(bytes: &[u8], k: usize) -> u128 {
    bytes.as_chunks().0.get(k).map_or(0, |bytes| u128::from_le_bytes(*bytes))
}

fn commitment(params: &MatchParams, opening: &[u8]) -> [u8; 32] {
    PartHash::new("colift matching shift v1").part(&params.session).part(opening).finish()
}

/// Ascending tags as they cross the wire.
pub(crate) fn code_tags(bits: u32, tags: &[u128]) -> Vec<u8> {
    TagCode::new(tags.len(), bits).encode(tags.iter().copied()).to_vec()
}

/// Undoes [`code_tags`].
pub(crate) fn decode_tags(bits: u32, count: usize, wire: &[u8]) -> Option<Vec<u128>> {
    let mut tags = Vec::new();
    TagCode::new(count, bits).decode(wire, |tag| tags.push(tag)).ok()?;
    Some(tags)
}

/// The common tags.
struct Matches {
    /// Their ranks among the own tags, ascending.
    own: Vec<u32>,
    /// Which of the peer's ranks they are.
    theirs: Bits,
}

/// Walks through both ascending lists.
fn join(outputs: &Outputs, code: TagCode, wire: &[u8], peer: usize) -> Result<Matches, PsiError> {
    let mut matches = Matches { own: Vec::new(), theirs: Bits::zeros(peer) };
    let (mut own, mut rank) = ((0u32..).zip(outputs.tags()).peekable(), 0);
    code.decode(wire, |tag| {
        while own.next_if(|(_, own)| *own < tag).is_some() {}
        if let Some((own, _)) = own.next_if(|(_, own)| *own == tag) {
            matches.own.push(own);
            matches.theirs.set(rank, true);
        }
        rank += 1;
    })?;
    Ok(matches)
}

/// The sizes that [`declare_match`] follows.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Ids of this side.
    pub own: usize,
    /// Ids of the peer.
    pub peer: usize,
    /// Sampled ids of both, where a minimum is agreed.
    pub sampled: Option<[usize; 2]>,
}

/// About how many ids of each side are counted before a matching of these sizes, where a minimum can be decided so.
#[must_use]
pub fn expected_sample(sizes: [usize; 2], minimum: u64) -> Option<[usize; 2]> {
    let sample = Sample::new(sizes, minimum);
    sample.decides(minimum).then(|| sizes.map(|size| (size as f64 * sample.share()).round() as usize))
}

/// Notes the messages of a whole [`match_ids`] as `role` sees them.
///
/// # Errors
/// Config class: more ids than a store takes.
pub fn declare_match(meter: &mut Meter, role: Role, form: VoleForm, sizes: Sizes) -> Result<(), PsiError> {
    declare_within(meter, role, form, sizes, Limits::STANDARD)
}

fn declare_within(meter: &mut Meter, role: Role, form: VoleForm, sizes: Sizes, limits: Limits) -> Result<(), PsiError> {
    let Sizes { own, peer, sampled } = sizes;
    let params = MatchParams { session: [0; 32], own_max: own as u64, peer_max: peer as u64, min_overlap: 0 };
    meter.sent(ecdh::OPENING_BYTES);
    meter.received(ecdh::OPENING_BYTES);
    if let Some([own, peer]) = sampled {
        ecdh::declare_count(meter, own, peer);
    }
    let whole = Run::whole(role, form, params, [own, peer]);
    match Plan::new(own, peer, limits) {
        None => declare_run(meter, &whole),
        Some(plan) => (0..plan.buckets).try_for_each(|number| declare_run(meter, &whole.bucket(plan, number))),
    }
}

/// Notes the messages of one matching after its sizes are known.
fn declare_run(meter: &mut Meter, run: &Run) -> Result<(), PsiError> {
    let (own, peer, malicious, receives) = (run.own, run.peer, run.malicious(), run.receives());
    // What the sender sends is what the receiver receives.
    let from_sender = |meter: &mut Meter, length: usize| if receives { meter.received(length) } else { meter.sent(length) };
    let from_receiver = |meter: &mut Meter, length: usize| if receives { meter.sent(length) } else { meter.received(length) };
    let (senders, receivers) = if receives { (peer, own) } else { (own, peer) };
    let store = OkvsParams::for_items(receivers)?;
    if malicious {
        from_sender(meter, 32);
    }
    let rows = run.vole(&store);
    if receives {
        vole::declare_receive(meter, &rows)
    } else {
        vole::declare_send(meter, &rows)
    }
    from_receiver(meter, run.seed_bytes());
    for start in (0..store.len()).step_by(FRAME_ELEMENTS) {
        from_receiver(meter, 16 * FRAME_ELEMENTS.min(store.len() - start));
    }
    if malicious {
        from_sender(meter, SHIFT_BYTES);
    }
    let tags = TagCode::new(senders, run.output_hash().bits).bytes();
    for start in (0..tags).step_by(FRAME_BYTES) {
        from_sender(meter, FRAME_BYTES.min(tags - start));
    }
    from_receiver(meter, 8);
    from_receiver(meter, 32 + senders.div_ceil(8));
    Ok(())
}

#[cfg(test)]
mod tests;
