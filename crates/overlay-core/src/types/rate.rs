use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How much a link may carry, in bits per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rate(u64);

impl Rate {
    /// The least that can be set beside nothing at all, in bits per second (illumos mac_flow.h: MRP_MAXBW_MINVAL).
    const MIN: u64 = 1_200_000;
    /// The most that can be set, in bits per second.
    const MAX: u64 = 1_000_000_000_000;

    /// In bits per second; 0 lets nothing through.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = String;

    /// A number with at most three decimals and K, M or G behind it; M where there is none (dladm(8)).
    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || {
            "it is not a rate (a number and K, M or G bits per second, like 1200K, 100M or 2.5G)".to_owned()
        };
        let (digits, unit) = match text.char_indices().last() {
            Some((at, 'K' | 'k')) => (&text[..at], 1_000),
            Some((at, 'M' | 'm')) => (&text[..at], 1_000_000),
            Some((at, 'G' | 'g')) => (&text[..at], 1_000_000_000),
            _ => (text, 1_000_000),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(decimals) || decimals.len() > 3 {
            return Err(shape());
        }
        let thousandths = format!("{whole}{decimals:0<3}").parse::<u64>().map_err(|_| shape())?;
        let bits = u128::from(thousandths) * unit / 1000;
        match u64::try_from(bits) {
            Ok(bits) if bits == 0 || (Self::MIN..=Self::MAX).contains(&bits) => Ok(Self(bits)),
            _ => Err("it is not 0 or in 1200K-1000G".to_owned()),
        }
    }
}

impl fmt::Display for Rate {
    /// In Mbit/s, with three decimals if it is not whole (dladm(8)).
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000 / 1000);
        if rest == 0 { write!(out, "{whole}") } else { write!(out, "{whole}.{rest:03}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_their_units() {
        for (text, bits, shown) in [
            ("0", 0, "0"),
            ("1200K", 1_200_000, "1.200"),
            ("1.2", 1_200_000, "1.200"),
            ("100", 100_000_000, "100"),
            ("100m", 100_000_000, "100"),
            ("2.5G", 2_500_000_000, "2500"),
            ("1000G", 1_000_000_000_000, "1000000"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.bits(), rate.to_string().as_str()), (bits, shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "K",
            "1199K",
            "1001G",
            "-1",
            "+2",
            "1.2345G",
            "1..2",
            ".5G",
            "5.",
            "100MB",
            "99999999999999999999G",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
