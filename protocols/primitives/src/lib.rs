//! Pseudo-random generator, hashes, fixed-key AES and operating-system randomness shared by every protocol.
