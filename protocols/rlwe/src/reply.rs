//! Replies: what an evaluator sends back after computing on the peer's ciphertexts.
//!
//! **Purpose.** Turn Σ p_j·Enc(m_j) into additive shares of Σ p_j·m_j mod t without telling the encryptor anything else.
//!
//! **Functionality.** Every reply first gets a fresh public-key encryption of zero, (b·u + e0, a·u + e1), and is switched to
//! the short modulus q' (computations that were modulo q' from the start need no switch). Then one of two ways:
//! - *masked* (coefficient packing, t = 2^k): ρ uniform modulo q' is added to each coefficient of c0 that is sent. With phase
//!   φ = c0 + ρ + c1·s the encryptor takes ⌊t·φ/q'⌉, the evaluator −⌊t·ρ/q'⌉.
//! - *flooded* (slot packing, t prime): a uniform plaintext mask and a uniform error 2^54 above the worst case are added
//!   before the switch.
//!
//! **Security of the masked reply (proof).** The encryptor's view is (c1', φ) on the coefficients sent. φ is uniform modulo q'
//! and independent of everything else, because ρ is. c1' is a public function of Σ p_j·a_j + a·u + e1, in which a·u + e1 is a
//! ring-LWE sample under the evaluator's fresh secret u for the joint-coin value a; the other sample with the same u, b·u + e0,
//! is hidden by ρ. So the view is simulated from (uniform, uniform) under ring-LWE; it holds nothing of p. ∎
//! Correctness: t·φ/q' = m + t·ρ/q' + δ (mod t) with |δ| < 1/2 by the checked noise bound, and ⌊x + δ⌉ − ⌊x⌉ ∈ {−1, 0, 1}:
//! the two shares add up to m + {−1, 0, 1}.
//! **Security of the flooded reply.** Statistical distance at most N·2^-54 a reply between its phase and one simulated from
//! the result alone; c1 as above.
//!
//! **Cost.** [`masked_bytes`], [`flooded_bytes`]; no round of its own.
//! **Messages.** c1' modulo q', then the coefficients of c0' that count, each residue packed to its prime's bits.
//! **Source.** Masking over the whole modulus: our own, proof above; flooding: the usual smudging lemma.

use crate::error::RlweError;
use crate::kernels;
use crate::keys::{PublicKey, SecretKey};
use crate::pack::{pack_residues, packed_bytes, unpack_residues};
use crate::params::{Level, NoiseBudget, Plaintext};
use crate::plain::encode;
use crate::ring::{Accumulator, N, Poly, Ring};
use crate::sample;
use colift_primitives::rng::Prg;

/// Bytes of a masked reply that carries `count` coefficients.
#[must_use]
pub fn masked_bytes(count: usize) -> usize {
    packed_bytes(N, Level::REPLY.primes()) + packed_bytes(count, Level::REPLY.primes())
}

/// Bytes of a flooded reply.
#[must_use]
pub fn flooded_bytes() -> usize {
    2 * packed_bytes(N, Level::SLOT_REPLY.primes())
}

/// Finishes a coefficient-packed reply; `positions` are the coefficients that carry results. Returns the message and the
/// evaluator's shares modulo t, in the order of `positions`.
pub fn masked(
    c0: Accumulator,
    c1: Accumulator,
    key: &PublicKey,
    plaintext: Plaintext,
    positions: &[usize],
    prg: &mut Prg,
) -> (Vec<u8>, Vec<u64>) {
    let (c0, c1) = rerandomise(c0.finish(), c1.finish(), key, prg);
    let rho = sample::uniform(prg, Level::REPLY.primes());
    hide_by_mask(c0, c1, &rho, plaintext, positions)
}

/// The second half of [`masked`]: the switch and the mask ρ.
fn hide_by_mask(c0: Poly, c1: Poly, rho: &Poly, plaintext: Plaintext, positions: &[usize]) -> (Vec<u8>, Vec<u64>) {
    let reply = Level::REPLY.primes();
    let (c0, c1) = (switch(c0, reply), switch(c1, reply));
    let pick = |poly: &Poly, index: usize| positions.iter().map(|p| poly.residues(index)[*p]).collect::<Vec<u32>>();
    let (mut sums, mut masks) = (Vec::with_capacity(reply), Vec::with_capacity(reply));
    for index in 0..reply {
        let modulus = Ring::shared().modulus(index);
        let mask = pick(rho, index);
        sums.push(pick(&c0, index).iter().zip(&mask).map(|(c, r)| modulus.add(*c, *r)).collect::<Vec<u32>>());
        masks.push(mask);
    }
    let mut message = pack(&c1);
    message.extend(pack_residues(&sums.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    let t = plaintext.modulus();
    let shares = round_residues(&masks, plaintext).into_iter().map(|x| if x == 0 { 0 } else { t - x }).collect();
    (message, shares)
}

/// The encryptor's shares modulo t of a masked reply, in the order of `positions`.
///
/// # Errors
/// Peer class: malformed.
pub fn open_masked(secret: &SecretKey, message: &[u8], plaintext: Plaintext, positions: &[usize]) -> Result<Vec<u64>, RlweError> {
    let reply = Level::REPLY.primes();
    let (head, tail) = message.split_at_checked(packed_bytes(N, reply)).ok_or(RlweError::MalformedPolynomial)?;
    let sums = unpack_residues(tail, positions.len(), reply)?;
    let product = times_secret(head, secret, reply)?;
    let phases: Vec<Vec<u32>> = sums
        .iter()
        .enumerate()
        .map(|(index, sums)| {
            let modulus = Ring::shared().modulus(index);
            sums.iter().zip(positions).map(|(c, p)| modulus.add(*c, product.residues(index)[*p])).collect()
        })
        .collect();
    Ok(round_residues(&phases, plaintext))
}

/// Finishes a slot-packed reply: adds the plaintext mask (coefficients below t) and the flooding of `budget`.
pub fn flooded(
    c0: Accumulator,
    c1: Accumulator,
    key: &PublicKey,
    budget: &NoiseBudget,
    level: Level,
    mask: &[u64],
    prg: &mut Prg,
) -> Vec<u8> {
    let (c0, c1) = rerandomise(c0.finish(), c1.finish(), key, prg);
    let c0 = hide_by_flood(c0, budget, level, mask, prg);
    let reply = Level::SLOT_REPLY.primes();
    let mut message = pack(&switch(c1, reply));
    message.extend(pack(&switch(c0, reply)));
    message
}

/// The middle of [`flooded`]: the plaintext mask and the flooding, before the switch.
fn hide_by_flood(mut c0: Poly, budget: &NoiseBudget, level: Level, mask: &[u64], prg: &mut Prg) -> Poly {
    c0.add_assign(&encode(mask, budget.plaintext, level));
    c0.add_assign(&sample::flood(prg, budget.flood_bits(), level.primes()));
    c0
}

/// The encryptor's plaintext of a flooded reply: N coefficients below t.
///
/// # Errors
/// Peer class: malformed.
pub fn open_flooded(secret: &SecretKey, message: &[u8], plaintext: Plaintext) -> Result<Vec<u64>, RlweError> {
    let reply = Level::SLOT_REPLY.primes();
    let (head, tail) = message.split_at_checked(packed_bytes(N, reply)).ok_or(RlweError::MalformedPolynomial)?;
    let mut phase = times_secret(head, secret, reply)?;
    phase.add_assign(&Poly { residues: unpack_residues(tail, N, reply)?.concat() });
    Ok(round_phase(&phase, plaintext))
}

/// Adds a fresh public-key encryption of zero; returns both halves in coefficient form.
fn rerandomise(mut c0: Poly, mut c1: Poly, key: &PublicKey, prg: &mut Prg) -> (Poly, Poly) {
    let primes = c0.primes();
    let mut u = Poly::from_small(&sample::ternary(prg), primes);
    u.transform();
    c0.add_assign(&u.product(&key.b));
    c1.add_assign(&u.product(&key.a));
    c0.untransform();
    c1.untransform();
    c0.add_assign(&Poly::from_small(&sample::error(prg), primes));
    c1.add_assign(&Poly::from_small(&sample::error(prg), primes));
    (c0, c1)
}

/// Modulus switch in coefficient form, where there is a longer chain: drops primes from the end, each time dividing by it with rounding.
fn switch(mut poly: Poly, primes: usize) -> Poly {
    while poly.primes() > primes {
        let last = poly.primes() - 1;
        let dropped = Ring::shared().modulus(last).value();
        let tail = poly.residues.split_off(last * N);
        for index in 0..last {
            kernels::switch_down(poly.residues_mut(index), &tail, dropped, Ring::shared().modulus(index));
        }
    }
    poly
}

fn times_secret(packed: &[u8], secret: &SecretKey, primes: usize) -> Result<Poly, RlweError> {
    let mut c1 = Poly { residues: unpack_residues(packed, N, primes)?.concat() };
    c1.transform();
    let mut product = c1.product(&secret.secret);
    product.untransform();
    Ok(product)
}

fn pack(poly: &Poly) -> Vec<u8> {
    let views: Vec<&[u32]> = (0..poly.primes()).map(|index| poly.residues(index)).collect();
    pack_residues(&views)
}

/// ⌊t·x/q⌉ mod t of every coefficient of a phase.
pub(crate) fn round_phase(phase: &Poly, plaintext: Plaintext) -> Vec<u64> {
    let residues: Vec<Vec<u32>> = (0..phase.primes()).map(|index| phase.residues(index).to_vec()).collect();
    round_residues(&residues, plaintext)
}

/// ⌊t·x/q⌉ mod t of values given by their residues: x/q mod 1 is Σ y_i/q_i with y_i = x·(q/q_i)⁻¹ mod q_i, summed as 128-bit
/// fractions (error below 2^-90).
fn round_residues(residues: &[Vec<u32>], plaintext: Plaintext) -> Vec<u64> {
    let primes = residues.len();
    let constants: Vec<(u32, u32, u128)> = (0..primes)
        .map(|index| {
            let modulus = Ring::shared().modulus(index);
            let others = (0..primes)
                .filter(|other| *other != index)
                .fold(1u32, |product, other| modulus.mul(product, modulus.reduce(u64::from(Ring::shared().modulus(other).value()))));
            let inverse = modulus.inverse(others);
            (inverse, modulus.shoup(inverse), u128::MAX / u128::from(modulus.value()))
        })
        .collect();
    let count = residues.first().map_or(0, Vec::len);
    (0..count)
        .map(|i| {
            let mut fraction = 0u128;
            for (index, (inverse, shoup, step)) in constants.iter().enumerate() {
                let modulus = Ring::shared().modulus(index);
                let lazy = modulus.mul_shoup_lazy(residues[index][i], *inverse, *shoup);
                let y = if lazy >= modulus.value() { lazy - modulus.value() } else { lazy };
                fraction = fraction.wrapping_add(u128::from(y) * step);
            }
            match plaintext {
                Plaintext::PowerOfTwo(bits) => {
                    let rounded = fraction.wrapping_add(1 << (127 - bits));
                    (rounded >> (128 - bits)) as u64
                }
                Plaintext::Prime(t) => {
                    let high = fraction >> 64;
                    (((high * u128::from(t) + (1 << 63)) >> 64) as u64) % u64::from(t)
                }
            }
        })
        .collect()
}

#[cfg(test)]
#[path = "reply/tests.rs"]
mod tests;

#[cfg(test)]
#[path = "reply/tests/privacy.rs"]
mod privacy;
