//! Changes inputs in the ways that parsers stumble over.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Most changes of one input.
const CHANGES: usize = 6;
/// Longest part that is copied or removed at once, in bytes.
const PART: usize = 64;

/// Pieces that mean something to one of the parsers.
const PIECES: [&[u8]; 24] = [
    b"",
    b"\0",
    b"\xff",
    b"\r\n",
    b"\n",
    b" ",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\xc3\xa9",
    b"\xe2\x80\xae",
    b",",
    b":",
    b"[",
    b"{",
    b"}",
    b"null",
    b"-1",
    b"65536",
    b"4294967296",
    b"18446744073709551616",
    b"1e999",
    b"$9223372036854775807\r\n",
];

/// Endless changed inputs, the same for the same seed.
pub(crate) struct Mutations {
    seeds: Vec<Vec<u8>>,
    random: StdRng,
}

impl Mutations {
    pub(crate) fn new(seeds: Vec<Vec<u8>>, seed: u64) -> Self {
        assert!(!seeds.is_empty(), "there is nothing to change");
        let random = StdRng::seed_from_u64(seed);
        Self { seeds, random }
    }

    fn seed(&mut self) -> usize {
        self.random.random_range(0..self.seeds.len())
    }

    /// A part of an input of this length.
    fn part(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.random.random_range(0..=length);
        let end = length.min(start + self.random.random_range(0..=PART));
        start..end
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let part = self.part(input.len());
        match self.random.random_range(0..6) {
            0 => {
                input.drain(part);
            }
            1 => {
                let copy = input[part].to_vec();
                let at = self.random.random_range(0..=input.len());
                input.splice(at..at, copy);
            }
            2 => {
                let piece = PIECES[self.random.random_range(0..PIECES.len())];
                input.splice(part.start..part.start, piece.iter().copied());
            }
            3 => {
                let piece = PIECES[self.random.random_range(0..PIECES.len())];
                input.splice(part, piece.iter().copied());
            }
            4 => {
                let other = self.seed();
                let length = self.seeds[other].len();
                let copied = self.part(length);
                input.splice(part, self.seeds[other][copied].iter().copied());
            }
            _ => {
                if let Some(byte) = input.get_mut(part.start) {
                    *byte ^= 1 << self.random.random_range(0..8);
                }
            }
        }
    }
}

impl Iterator for Mutations {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let seed = self.seed();
        let mut input = self.seeds[seed].clone();
        for _ in 0..self.random.random_range(1..=CHANGES) {
            self.change(&mut input);
        }
        Some(input)
    }
}
