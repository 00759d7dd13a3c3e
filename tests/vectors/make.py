#!/usr/bin/env python3
"""Makes the vectors that no standard publishes, by an implementation of its own, and the manifest of all vectors.

    python3 tests/vectors/make.py

Standard library only. AES, GF(2^128), the key-value store's rows, names and coded tags are written here from their descriptions
(docs/protocols/psi.md, headers of protocols/primitives/src), not from the program. AES is checked against FIPS 197 first.
"""
import hashlib
import json
import math
import os

HERE = os.path.dirname(os.path.abspath(__file__))
MASK = (1 << 128) - 1


# ---- AES-128 --------------------------------------------------------------------------------------------------------------
def xtime(a):
    return ((a << 1) ^ 0x1B) & 0xFF if a & 0x80 else a << 1


def gmul(a, b):
    total = 0
    while b:
        if b & 1:
            total ^= a
        a, b = xtime(a), b >> 1
    return total


def make_sbox():
    box = []
    for x in range(256):
        inverse = next((y for y in range(256) if gmul(x, y) == 1), 0)
        value = 0x63
        for shift in range(5):
            value ^= ((inverse << shift) | (inverse >> (8 - shift))) & 0xFF
        box.append(value)
    return box


SBOX = make_sbox()


def aes(key, block):
    words = [list(key[4 * i:4 * i + 4]) for i in range(4)]
    rcon = 1
    for i in range(4, 44):
        word = list(words[i - 1])
        if i % 4 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= rcon
            rcon = xtime(rcon)
        words.append([a ^ b for a, b in zip(words[i - 4], word)])
    keys = [sum(words[4 * r:4 * r + 4], []) for r in range(11)]
    state = [a ^ b for a, b in zip(block, keys[0])]
    for r in range(1, 11):
        state = [SBOX[b] for b in state]
        state = [state[(i + 4 * (i % 4)) % 16] for i in range(16)]
        if r < 10:
            mixed = []
            for c in range(0, 16, 4):
                a = state[c:c + 4]
                mixed += [gmul(a[i], 2) ^ gmul(a[(i + 1) % 4], 3) ^ a[(i + 2) % 4] ^ a[(i + 3) % 4] for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, keys[r])]
    return bytes(state)


assert aes(bytes(range(16)), bytes.fromhex("00112233445566778899aabbccddeeff")).hex() == "69c4e0d86a7b0430d8cdb78070b4c55a"


def aes_number(key, x):
    """Numbers are little-endian blocks."""
    return int.from_bytes(aes(key.to_bytes(16, "little"), x.to_bytes(16, "little")), "little")


class Stream:
    """AES in counter mode under a seed, counters little-endian from 0."""

    def __init__(self, seed):
        self.seed, self.counter, self.ready = seed, 0, b""

    def take(self, count):
        while len(self.ready) < count:
            self.ready += aes(self.seed, self.counter.to_bytes(16, "little"))
            self.counter += 1
        out, self.ready = self.ready[:count], self.ready[count:]
        return out

    def number(self):
        return int.from_bytes(self.take(16), "little")


# ---- The field, hashes, names ---------------------------------------------------------------------------------------------
def multiply(a, b):
    total = 0
    for i in range(127, -1, -1):
        total = ((total << 1) ^ (0x87 if total >> 127 else 0)) & MASK
        if b >> i & 1:
            total ^= a
    return total


def keyed(key, x):
    return aes_number(key, x) ^ x


PI = int.from_bytes(bytes.fromhex("243f6a8885a308d313198a2e03707344"), "little")


def tweakable(x, tweak):
    inner = aes_number(PI, x)
    return aes_number(PI, inner ^ tweak) ^ inner


def parts(domain, *items):
    digest = hashlib.sha256()
    for item in (domain.encode(),) + items:
        digest.update(len(item).to_bytes(8, "little") + item)
    return digest.digest()


def name(session, identity):
    block = parts("colift matching names v1", session) + bytes(32)
    digest = hashlib.sha256(block + identity).digest()
    return int.from_bytes(digest[:16], "little"), int.from_bytes(digest[16:], "little")


# ---- The key-value store --------------------------------------------------------------------------------------------------
def store_sizes(items):
    """One bin: fewer than 2^14 keys."""
    rows, strength, weight = max(items, 128), 41.0, math.log2(3)
    slope = 2 ** (0.555 * math.log2(rows) + 0.093 * weight**3 - 1.01 * weight**2 + 2.925 * weight - 0.133)
    expansion = 1.223 + (strength + 9.2) / slope
    return math.ceil(expansion * rows), math.ceil(strength / math.log2(expansion * rows))


def decode(seed, sparse, dense, store, key):
    stream = Stream(seed)
    slots = keyed(stream.number(), key)
    factors = []
    for _ in range((dense + 1) // 2):
        value = keyed(stream.number(), key)
        factors += [value & (2**64 - 1), value >> 64]
    scale = lambda x, bound: (x & 0xFFFFFFFF) * bound >> 32
    a, b, c = scale(slots, sparse), scale(slots >> 32, sparse - 1), scale(slots >> 64, sparse - 2)
    b += b >= a
    low, high = min(a, b), max(a, b)
    c += c >= low
    c += c >= high
    total = store[a] ^ store[b] ^ store[c]
    for factor, element in zip(factors, store[sparse:sparse + dense]):
        total ^= multiply(element, factor)
    return total


# ---- Tags -----------------------------------------------------------------------------------------------------------------
def pack(numbers, bits):
    total = sum((n & ((1 << bits) - 1)) << (bits * i) for i, n in enumerate(numbers))
    return total.to_bytes((bits * len(numbers) + 7) // 8, "little")


def code_tags(tags, bits):
    upper = max(len(tags), 2).bit_length() - 1
    lower = bits - upper
    first, second = min(lower, 64), max(lower - 64, 0)
    unary = 0
    for index, tag in enumerate(tags):
        unary |= 1 << ((tag >> lower) + index)
    low = pack([t & ((1 << lower) - 1) & (2**64 - 1) for t in tags], first)
    high = pack([(t & ((1 << lower) - 1)) >> 64 for t in tags], second)
    return low + high + unary.to_bytes((len(tags) + (1 << upper) + 7) // 8, "little")


def number(x):
    return f"{x:032x}"


def write(path, value):
    full = os.path.join(HERE, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w") as file:
        json.dump(value, file, indent=1)
        file.write("\n")


def random_number(label, i):
    return int.from_bytes(hashlib.sha256(f"{label} {i}".encode()).digest()[:16], "little")


def main():
    ours = "made by tests/vectors/make.py, an implementation in another language"
    sets = [random_number("hash", i) for i in range(8)] + [0, 1, MASK, 1 << 127]
    write("matching/v1/hashes.json", {
        "source": ours,
        "keyed": [{"key": number(random_number("key", i)), "x": number(x), "hash": number(keyed(random_number("key", i), x))} for i, x in enumerate(sets)],
        "tweakable": [{"x": number(x), "tweak": number(random_number("tweak", i)), "hash": number(tweakable(x, random_number("tweak", i)))} for i, x in enumerate(sets)],
    })
    pairs = [(a, b) for a in sets[4:] for b in sets[3:7]]
    write("matching/v1/field.json", {
        "source": ours + "; numbers are polynomials modulo x^128 + x^7 + x^2 + x + 1, bit i the coefficient of x^i",
        "products": [{"a": number(a), "b": number(b), "product": number(multiply(a, b))} for a, b in pairs],
    })
    session = hashlib.sha256(b"session").digest()
    ids = ["ana@example.com", "+12025550123", "", "\u7528\u6237@\u4f8b\u3048.example", "x" * 200]
    names = [name(session, text.encode()) for text in ids]
    write("matching/v1/names.json", {
        "source": ours, "session": session.hex(),
        "names": [{"id": text, "key": number(key), "element": number(element)} for text, (key, element) in zip(ids, names)],
    })
    stores = []
    for items in [1, 200, 5000]:
        seed = hashlib.sha256(f"store {items}".encode()).digest()[:16]
        sparse, dense = store_sizes(items)
        # Entry i of the store is a hash of i: too long to list.
        store = [random_number("entry", i) for i in range(sparse + dense)]
        keys = [random_number("store key", i) for i in range(4)]
        stores.append({"items": items, "seed": seed.hex(), "sparse": sparse, "dense": dense,
                       "decoded": [{"key": number(k), "value": number(decode(seed, sparse, dense, store, k))} for k in keys]})
    write("matching/v1/store.json", {"source": ours + "; entry i of a store is the first 16 bytes of SHA-256(\"entry i\"), little-endian", "stores": stores})
    lists = []
    for count, bits in [(0, 41), (1, 41), (5, 64), (37, 83), (100, 128)]:
        tags = sorted(random_number(f"tag {count}", i) >> (128 - bits) for i in range(count))
        lists.append({"bits": bits, "tags": [number(t) for t in tags], "code": code_tags(tags, bits).hex() if count else ""})
    write("matching/v1/tags.json", {"source": ours, "lists": lists})
    write("fips197/v1/aes128.json", {"source": "FIPS 197, appendices B and C.1", "vectors": [
        {"key": "000102030405060708090a0b0c0d0e0f", "plain": "00112233445566778899aabbccddeeff", "cipher": "69c4e0d86a7b0430d8cdb78070b4c55a"},
        {"key": "2b7e151628aed2a6abf7158809cf4f3c", "plain": "3243f6a8885a308d313198a2e0370734", "cipher": "3925841d02dc09fbdc118597196a0b32"}]})
    write("fips180/v1/sha2.json", {"source": "FIPS 180-2, appendices B and C; NIST examples", "vectors": [
        {"hash": "sha256", "message": "616263", "digest": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"hash": "sha256", "message": "", "digest": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"hash": "sha256", "message": "6162636462636465636465666465666765666768666768696768696a68696a6b696a6b6c6a6b6c6d6b6c6d6e6c6d6e6f6d6e6f706e6f7071",
         "digest": "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"hash": "sha512", "message": "616263", "digest": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"}]})
    write("rfc4231/v1/hmac_sha256.json", {"source": "RFC 4231, test cases 1, 2 and 6", "vectors": [
        {"key": "0b" * 20, "data": b"Hi There".hex(), "tag": "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"key": b"Jefe".hex(), "data": b"what do ya want for nothing?".hex(), "tag": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"key": "aa" * 131, "data": b"Test Using Larger Than Block-Size Key - Hash Key First".hex(), "tag": "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"}]})
    write("rfc5869/v1/hkdf_sha256.json", {"source": "RFC 5869, test cases 1 and 3", "vectors": [
        {"secret": "0b" * 22, "salt": "000102030405060708090a0b0c", "info": "f0f1f2f3f4f5f6f7f8f9",
         "key": "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
        {"secret": "0b" * 22, "salt": "", "info": "", "key": "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"}]})
    write("gcm/v1/ghash.json", {"source": "The Galois/Counter Mode of Operation (GCM), test case 2; blocks bit-reversed are elements of our field", "vectors": [
        {"h": "66e94bd4ef8a2c3b884cfa59ca342b2e", "x": "0388dace60b6a392f328c2b971b2fe78", "product": "5e2ec746917062882c85b0685353deb7"},
        {"h": "66e94bd4ef8a2c3b884cfa59ca342b2e", "x": f"{0x5e2ec746917062882c85b0685353deb7 ^ 0x80:032x}", "product": "f38cbb1ad69223dcc3457ae5b6b0f885"}]})
    lines = []
    for folder, _, files in sorted(os.walk(HERE)):
        # Recorded conversations have a manifest of their own, which tests/recorded writes and checks.
        if os.path.relpath(folder, HERE).split(os.sep)[0] == "wire":
            continue
        for file in sorted(files):
            if file.endswith(".json"):
                full = os.path.join(folder, file)
                lines.append(hashlib.sha256(open(full, "rb").read()).hexdigest() + "  " + os.path.relpath(full, HERE))
    with open(os.path.join(HERE, "MANIFEST"), "w") as file:
        file.write("".join(line + "\n" for line in sorted(lines, key=lambda line: line[66:])))


main()
