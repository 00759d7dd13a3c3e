//! Circuit privacy: replies to all-zero and to all-max plaintexts look alike to the one who can decrypt them.
//!
//! Everything the encryptor sees is compared by the two-sample Kolmogorov-Smirnov test: c1, the phase and its noise, also
//! against a right guess of the plaintexts. A difference is found below p = [`P`]; every hiding step is also left out once, and the
//! test must then find the difference.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::{Ciphertext, CommonRandomness, PlainPoly, SecretKey, SlotEncoder, encrypt, receive_ciphertext};
use colift_primitives::rng::Seed;
use colift_testkit::kolmogorov_smirnov;

/// One false alarm in 10^9 a comparison.
const P: f64 = 1e-9;
/// Replies a sample, of N values each.
const REPLIES: usize = 6;
/// Ciphertexts that a reply adds up.
const TERMS: usize = 4;

/// A key, and the sums of plaintexts times fresh encryptions as the evaluator makes them.
struct World {
    secret: SecretKey,
    public: PublicKey,
    ours: CommonRandomness,
    theirs: CommonRandomness,
    prg: Prg,
}

impl World {
    fn new() -> Self {
        let mut prg = Prg::from_os().unwrap();
        let secret = SecretKey::generate(&mut prg);
        let seed = prg.next_u128().to_le_bytes();
        let (mut ours, mut theirs) = (CommonRandomness::new(Seed::from_bytes(seed)), CommonRandomness::new(Seed::from_bytes(seed)));
        let public = PublicKey::generate(&secret, &mut ours, &mut prg);
        let public = PublicKey::from_bytes(&public.to_bytes(), &mut theirs).unwrap();
        World { secret, public, ours, theirs, prg }
    }

    /// Sums of constant plaintexts `value` in every coefficient times encryptions of random messages, and their true plaintext
    /// is left out: it is uniform and masked anyway.
    fn sums(&mut self, value: i32, plaintext: Plaintext, level: Level) -> (Accumulator, Accumulator) {
        let (mut c0, mut c1) = (Accumulator::new(level), Accumulator::new(level));
        let plain = PlainPoly::new(&vec![value; N], level);
        for _ in 0..TERMS {
            let messages: Vec<u64> = (0..N).map(|_| self.prg.next_u64() % plaintext.modulus()).collect();
            let upload = encrypt(&self.secret, &messages, plaintext, level, &mut self.ours.next_stream(), &mut self.prg);
            let read: Ciphertext = receive_ciphertext(&upload, level, &mut self.theirs.next_stream()).unwrap();
            c0.add_products(&[(plain.poly(), &read.c0)]);
            c1.add_products(&[(plain.poly(), &read.c1)]);
        }
        (c0, c1)
    }
}

/// x/q mod 1 of coefficients in residue form, in units of 2^-128, less than 2^33 of them too small.
fn fractions(poly: &Poly) -> Vec<u128> {
    let primes = poly.primes();
    let values = (0..N).map(|i| {
        let mut fraction = 0u128;
        for index in 0..primes {
            let modulus = Ring::shared().modulus(index);
            let others = (0..primes).filter(|other| *other != index);
            let others = others.fold(1, |all, other| modulus.mul(all, modulus.reduce(u64::from(Ring::shared().modulus(other).value()))));
            let y = modulus.mul(poly.residues(index)[i], modulus.inverse(others));
            fraction = fraction.wrapping_add(u128::from(y) * (u128::MAX / u128::from(modulus.value())));
        }
        fraction
    });
    values.collect()
}

/// The part of t·x/q beyond the nearest integer: what is noise to the decryptor.
fn noise(phase: &[u128], t: u128) -> impl Iterator<Item = f64> {
    phase.iter().map(move |x| x.wrapping_mul(t) as i128 as f64)
}

fn residues(poly: &Poly) -> impl Iterator<Item = f64> {
    poly.residues(0).iter().map(|x| f64::from(*x))
}

/// What the encryptor sees, as lists of numbers by name.
type View = Vec<(&'static str, Vec<f64>)>;

/// The smallest p of all comparisons of two views.
fn distance(a: &View, b: &View) -> (f64, &'static str) {
    let compared = a.iter().zip(b).map(|((name, left), (_, right))| (kolmogorov_smirnov(left, right), *name));
    compared.min_by(|x, y| x.0.total_cmp(&y.0)).unwrap()
}

/// Which steps of the hiding are done.
#[derive(Clone, Copy)]
struct Steps {
    fresh: bool,
    mask: bool,
    flood: bool,
}

const ALL: Steps = Steps { fresh: true, mask: true, flood: true };

fn plain_halves(c0: Accumulator, c1: Accumulator, world: &mut World, steps: Steps) -> (Poly, Poly) {
    if steps.fresh {
        return rerandomise(c0.finish(), c1.finish(), &world.public, &mut world.prg);
    }
    let (mut c0, mut c1) = (c0.finish(), c1.finish());
    c0.untransform();
    c1.untransform();
    (c0, c1)
}

/// Views of masked replies, as a product makes them, to plaintexts of this value.
fn masked_view(value: i32, steps: Steps) -> View {
    let plaintext = Plaintext::PowerOfTwo(50);
    let mass = (TERMS * N) as f64 * 14f64.exp2();
    let level = NoiseBudget { operation: "test", plaintext, mass, flooding: None }.level(Level::REPLY).unwrap();
    let positions: Vec<usize> = (0..N).collect();
    let mut world = World::new();
    let (mut c1s, mut guessed, mut phases, mut shares) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REPLIES {
        let (c0, c1) = world.sums(value, plaintext, level);
        let guess = {
            let mut guess = c1.clone().finish();
            guess.untransform();
            switch(guess, 3)
        };
        let message = if steps.fresh && steps.mask {
            masked(c0, c1, &world.public, plaintext, &positions, &mut world.prg).0
        } else {
            let (c0, c1) = plain_halves(c0, c1, &mut world, steps);
            let rho = if steps.mask { sample::uniform(&mut world.prg, 3) } else { Poly::zero(3) };
            hide_by_mask(c0, c1, &rho, plaintext, &positions).0
        };
        let (head, tail) = message.split_at(packed_bytes(N, 3));
        let mut c1 = Poly { residues: unpack_residues(head, N, 3).unwrap().concat() };
        c1s.extend(residues(&c1));
        let mut phase = times_secret(head, &world.secret, 3).unwrap();
        phase.add_assign(&Poly { residues: unpack_residues(tail, N, 3).unwrap().concat() });
        phases.extend(fractions(&phase));
        shares.extend(open_masked(&world.secret, &message, plaintext, &positions).unwrap().iter().map(|x| *x as f64));
        c1.sub_assign(&guess);
        guessed.extend(residues(&c1));
    }
    let noises = noise(&phases, 1 << 50).collect();
    let phases = phases.iter().map(|x| *x as f64).collect();
    vec![("c1", c1s), ("c1 less a right guess", guessed), ("phase", phases), ("noise", noises), ("share", shares)]
}

/// Views of flooded replies, as a gate makes them, to plaintexts of this value.
fn flooded_view(value: i32, steps: Steps) -> View {
    let encoder = SlotEncoder::for_fraction_bits(10);
    let (plaintext, t) = (encoder.plaintext(), encoder.prime());
    let budget = NoiseBudget { operation: "test", plaintext, mass: (TERMS * N) as f64 * 22f64.exp2(), flooding: Some(54) };
    let level = budget.level(Level::SLOT_REPLY).unwrap();
    let mut world = World::new();
    let (mut c1s, mut guessed, mut opened) = (Vec::new(), Vec::new(), Vec::new());
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for _ in 0..REPLIES {
        let (c0, c1) = world.sums(value, plaintext, level);
        let guess = {
            let mut guess = c1.clone().finish();
            guess.untransform();
            switch(guess, 2)
        };
        let mask: Vec<u64> = (0..N).map(|_| if steps.mask { world.prg.below(u64::from(t)) } else { 0 }).collect();
        // The stronger view first: the phase before the switch, which the encryptor never gets.
        let (whole0, whole1) = plain_halves(c0.clone(), c1.clone(), &mut world, steps);
        let flooding = if steps.flood { budget } else { NoiseBudget { flooding: None, ..budget } };
        let whole0 = hide_by_flood(whole0, &flooding, level, &mask, &mut world.prg);
        let mut phase = whole1.clone();
        phase.transform();
        phase = phase.product(&world.secret.secret);
        phase.untransform();
        phase.add_assign(&whole0);
        before.extend(noise(&fractions(&phase), u128::from(t)));
        let message = if steps.fresh && steps.flood {
            flooded(c0, c1, &world.public, &budget, level, &mask, &mut world.prg)
        } else {
            let mut message = pack(&switch(whole1, 2));
            message.extend(pack(&switch(whole0, 2)));
            message
        };
        let (head, tail) = message.split_at(packed_bytes(N, 2));
        let mut phase = times_secret(head, &world.secret, 2).unwrap();
        phase.add_assign(&Poly { residues: unpack_residues(tail, N, 2).unwrap().concat() });
        after.extend(noise(&fractions(&phase), u128::from(t)));
        opened.extend(open_flooded(&world.secret, &message, plaintext).unwrap().iter().map(|x| *x as f64));
        let mut c1 = Poly { residues: unpack_residues(head, N, 2).unwrap().concat() };
        c1s.extend(residues(&c1));
        c1.sub_assign(&guess);
        guessed.extend(residues(&c1));
    }
    vec![("c1", c1s), ("c1 less a right guess", guessed), ("noise before the switch", before), ("noise", after), ("plaintext", opened)]
}

#[test]
fn masked_replies_to_zeros_and_to_the_largest_entries_look_alike() {
    const MAX: i32 = 1 << 14;
    let (p, view) = distance(&masked_view(0, ALL), &masked_view(MAX, ALL));
    println!("masked: smallest p = {p:.3}, {view}");
    assert!(p > P, "{view}: p = {p}");
    for (steps, left_out) in [(Steps { fresh: false, ..ALL }, "the fresh encryption of zero"), (Steps { mask: false, ..ALL }, "the mask")] {
        let (p, view) = distance(&masked_view(0, steps), &masked_view(MAX, steps));
        println!("without {left_out}: p = {p:.1e}, {view}");
        assert!(p < P, "without {left_out} the test finds nothing: p = {p}");
    }
}

#[test]
fn flooded_replies_to_zeros_and_to_the_largest_factors_look_alike() {
    const MAX: i32 = (1 << 22) - 1;
    let (p, view) = distance(&flooded_view(0, ALL), &flooded_view(MAX, ALL));
    println!("flooded: smallest p = {p:.3}, {view}");
    assert!(p > P, "{view}: p = {p}");
    for (steps, left_out) in [
        (Steps { fresh: false, ..ALL }, "the fresh encryption of zero"),
        (Steps { mask: false, ..ALL }, "the plaintext mask"),
        (Steps { flood: false, ..ALL }, "the flooding"),
    ] {
        let (p, view) = distance(&flooded_view(0, steps), &flooded_view(MAX, steps));
        println!("without {left_out}: p = {p:.1e}, {view}");
        assert!(p < P, "without {left_out} the test finds nothing: p = {p}");
    }
}

#[test]
fn the_right_guess_of_the_plaintexts_does_not_show() {
    // The guess of the view above is right for either value; here one sample is compared with uniform residues.
    let mut prg = Prg::from_os().unwrap();
    for (view, primes) in [(masked_view(1 << 14, ALL), 3), (flooded_view((1 << 22) - 1, ALL), 2)] {
        let uniform: Vec<f64> = (0..REPLIES).flat_map(|_| residues(&sample::uniform(&mut prg, primes)).collect::<Vec<_>>()).collect();
        for (name, values) in &view[..2] {
            let p = kolmogorov_smirnov(values, &uniform);
            assert!(p > P, "{name}: p = {p}");
        }
    }
}
