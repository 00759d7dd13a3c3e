#!/usr/bin/env python3
"""Makes the committed synthetic case: python make.py (numpy, scikit-learn, scipy). Writes owner.csv, partner.csv, expected.json beside itself.

The answer is frozen: the optimum comes from scipy's trust-region Newton and is held against scikit-learn's, the figures from scikit-learn and scipy.
Traps: `region_flag` is constant on the matched training rows only, `card_spend` is heavy-tailed (the clip matters), `app_user` is 0/1,
`app_minutes` nearly repeats `app_sessions`, unmatched rows have other means.
"""
import csv, hashlib, json, pathlib
import numpy as np
from scipy import optimize, stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

L2, CLIP, COMMON, OWNER, PARTNER = 0.001, 5.0, 503, 611, 653
HERE = pathlib.Path(__file__).resolve().parent
rng = np.random.default_rng(20260101)

def ids(count):
    names = ["ana", "bela", "chidi", "dora", "emil", "fatima", "goran", "hana", "ivo", "jun"]
    numbers = rng.choice(900_000, size=count, replace=False) + 100_000
    return [f"{names[int(rng.integers(10))]}.{n}@example.{'org' if n % 3 else 'net'}" for n in numbers]

def rows_of(n, shift):
    latent = rng.normal(size=n) + shift
    owner = {"age": np.clip(np.round(42 + 12 * rng.normal(size=n) + 4 * shift), 18, 90), "orders": rng.poisson(np.exp(0.4 + 0.5 * latent)),
             "idle_weeks": np.round(rng.gamma(2.0, 6.0, size=n), 1), "newsletter": (rng.random(n) < 0.35).astype(int)}
    sessions = np.round(np.exp(1.0 + 0.5 * rng.normal(size=n)), 3)
    partner = {"card_spend": np.round(np.exp(3.0 + 1.6 * (0.5 * latent + rng.normal(size=n))), 2), "app_user": (rng.random(n) < 0.55).astype(int),
               "app_sessions": sessions, "app_minutes": np.round(7.5 * sessions + 0.6 * rng.normal(size=n), 2),
               "distance_km": np.round(rng.normal(12, 4, size=n), 2), "region_flag": (rng.random(n) < 0.3).astype(int)}
    z = (-2.6 + 1.8 * (latent - shift) + 0.35 * owner["newsletter"] - 0.05 * owner["idle_weeks"] + 0.4 * np.log(partner["card_spend"] / 20)
         + 0.9 * partner["app_user"] + 0.25 * np.log(sessions))
    return owner, partner, (rng.random(n) < 1 / (1 + np.exp(-z))).astype(int)

total = COMMON + (OWNER - COMMON) + (PARTNER - COMMON)
people = ids(total)
common, only_owner, only_partner = people[:COMMON], people[COMMON:OWNER], people[OWNER:]
(o1, p1, y1), (o2, _, y2), (_, p3, _) = rows_of(COMMON, 0.0), rows_of(OWNER - COMMON, 0.8), rows_of(PARTNER - COMMON, -0.7)
s1, s2 = (np.where(rng.random(k) < 0.75, "train", "test") for k in (COMMON, OWNER - COMMON))
p1["region_flag"] = np.where(s1 == "train", 1, p1["region_flag"])
assert 0 < p1["region_flag"][s1 == "test"].mean() < 1

def write(name, header, rows):
    order = rng.permutation(len(rows))
    with open(HERE / name, "w", newline="") as f:
        w = csv.writer(f, lineterminator="\n"); w.writerow(header); w.writerows([rows[i] for i in order])
stack = lambda a, b: {k: np.concatenate([a[k], b[k]]) for k in a}
owner, partner = stack(o1, o2), stack(p1, p3)
split, label = np.concatenate([s1, s2]), np.concatenate([y1, y2])
number = lambda v: f"{float(v):.10g}"
write("owner.csv", ["id", "split", "label", *owner], [[i, split[k], int(label[k]), *(number(c[k]) for c in owner.values())] for k, i in enumerate(common + only_owner)])
write("partner.csv", ["id", *partner], [[i, *(number(c[k]) for c in partner.values())] for k, i in enumerate(common + only_partner)])

train, test = s1 == "train", s1 == "test"
def recall(y, s, q):
    k = int(np.floor(q * len(y))); cut = np.sort(s)[::-1][k - 1]; above, tied = s > cut, s == cut
    return float((y[above].sum() + y[tied].sum() * (k - above.sum()) / tied.sum()) / y.sum())
def answer(columns):
    X = np.array([np.array(c, float) for c in columns.values()]).T; mean, sd = X[train].mean(0), X[train].std(0); keep = sd > 1e-12
    names = [n for n, k in zip(columns, keep) if k]; Z = np.clip((X[:, keep] - mean[keep]) / sd[keep], -CLIP, CLIP)
    A, y, d = np.c_[Z[train], np.ones(train.sum())], y1[train].astype(float), int(keep.sum()); R = np.r_[np.full(d, L2), 0.0]
    f = lambda w: np.mean(np.logaddexp(0, A @ w) - y * (A @ w)) + 0.5 * (R * w * w).sum()
    p = lambda w: 1 / (1 + np.exp(-(A @ w)))
    g = lambda w: A.T @ (p(w) - y) / len(y) + R * w
    H = lambda w: (A * (p(w) * (1 - p(w)))[:, None]).T @ A / len(y) + np.diag(R)
    w = optimize.minimize(f, np.zeros(d + 1), jac=g, hess=H, method="trust-exact", options={"gtol": 1e-11}).x
    w = w - np.linalg.solve(H(w), g(w)); assert np.abs(g(w)).max() < 1e-11
    sk = LogisticRegression(C=1 / (len(y) * L2), solver="newton-cholesky", tol=1e-12, max_iter=500).fit(Z[train], y1[train])
    assert max(np.abs(sk.coef_[0] - w[:-1]).max(), abs(sk.intercept_[0] - w[-1])) < 1e-6
    se = np.sqrt(np.diag(np.linalg.inv(H(w))) / len(y)); s, t = 1 / (1 + np.exp(-(Z[test] @ w[:-1] + w[-1]))), y1[test]
    return [n for n, k in zip(columns, keep) if not k], {
        "loss": float(f(w) - 0.5 * (R * w * w).sum()), "objective": float(f(w)), "intercept": float(w[-1]), "intercept_se": float(se[-1]),
        "coefficients": dict(zip(names, map(float, w))), "se": dict(zip(names, map(float, se))), "auc": float(roc_auc_score(t, s)),
        "ks": float(stats.ks_2samp(s[t == 1], s[t == 0]).statistic), "log_loss": float(log_loss(t, s)), "recall_at_20": recall(t, s, 0.2), "recall_at_40": recall(t, s, 0.4),
        "clipped_cells": int((np.abs((X[train][:, keep] - mean[keep]) / sd[keep]) > CLIP).sum())}
dropped, joint = answer({**o1, **p1}); none, own = answer(o1)
assert dropped == ["region_flag"] and none == [] and joint["clipped_cells"] > 0
json.dump({"l2": L2, "clip": CLIP, "matched": COMMON, "intersection_sha256": hashlib.sha256("\n".join(sorted(common)).encode()).hexdigest(), "train_rows": int(train.sum()),
           "test_rows": int(test.sum()), "positives_train": int(y1[train].sum()), "positives_test": int(y1[test].sum()), "dropped_columns": dropped, "joint": joint, "own_only": own},
          open(HERE / "expected.json", "w"), indent=1)
