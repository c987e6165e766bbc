//! From the byte a sensor gives to its value (§36.3).

/// How a sensor's byte is to be read as a number (§43.1, byte 21).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFormat {
    /// 0 to 255.
    Unsigned,
    /// -127 to 127, with two zeros.
    OnesComplement,
    /// -128 to 127.
    TwosComplement,
    /// The sensor has no numbers.
    None,
}

/// What is done to a number after it was scaled (§43.1, byte 24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linearization {
    /// Nothing.
    Linear,
    /// Natural logarithm.
    Ln,
    /// Logarithm to base 10.
    Log10,
    /// Logarithm to base 2.
    Log2,
    /// e to the power of it.
    Exp,
    /// 10 to the power of it.
    Exp10,
    /// 2 to the power of it.
    Exp2,
    /// 1 divided by it.
    Inverse,
    /// Its square.
    Square,
    /// Its cube.
    Cube,
    /// Its square root.
    SquareRoot,
    /// Its cube root.
    CubeRoot,
    /// Each byte has factors of its own, which Get Sensor Reading Factors gives: 70h to 7Fh.
    NonLinear(u8),
    /// A number that has no meaning.
    Other(u8),
}

/// The numbers that make a value of a byte: `L((M * x + B * 10^K1) * 10^K2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factors {
    /// M, -512 to 511.
    pub m: i16,
    /// B, -512 to 511.
    pub b: i16,
    /// K1, the exponent of B, -8 to 7.
    pub b_exponent: i8,
    /// K2, the exponent of the result, -8 to 7.
    pub r_exponent: i8,
    /// Tolerance in halves of a count, 0 to 63.
    pub tolerance: u8,
    /// Accuracy in hundredths of a percent, to be multiplied by 10^`accuracy_exponent`; 0 to 1023.
    pub accuracy: u16,
    /// 0 to 3.
    pub accuracy_exponent: u8,
}

impl DataFormat {
    pub(crate) fn of(units: u8) -> Self {
        match units >> 6 {
            0 => DataFormat::Unsigned,
            1 => DataFormat::OnesComplement,
            2 => DataFormat::TwosComplement,
            _ => DataFormat::None,
        }
    }

    /// The number a byte is; `None` when the sensor has none.
    pub fn number(self, raw: u8) -> Option<i16> {
        let signed = i16::from(raw.cast_signed());
        match self {
            DataFormat::Unsigned => Some(i16::from(raw)),
            DataFormat::OnesComplement => Some(signed + i16::from(signed < 0)),
            DataFormat::TwosComplement => Some(signed),
            DataFormat::None => None,
        }
    }
}

impl Linearization {
    pub(crate) fn of(number: u8) -> Self {
        const ALL: [Linearization; 12] = [
            Linearization::Linear,
            Linearization::Ln,
            Linearization::Log10,
            Linearization::Log2,
            Linearization::Exp,
            Linearization::Exp10,
            Linearization::Exp2,
            Linearization::Inverse,
            Linearization::Square,
            Linearization::Cube,
            Linearization::SquareRoot,
            Linearization::CubeRoot,
        ];
        match number & 0x7f {
            number @ 0x70..=0x7f => Linearization::NonLinear(number),
            number => ALL.get(usize::from(number)).copied().unwrap_or(Linearization::Other(number)),
        }
    }

    /// The function itself. Those of a non-linear sensor are in its factors.
    pub fn apply(self, x: f64) -> f64 {
        match self {
            Linearization::Linear | Linearization::NonLinear(_) | Linearization::Other(_) => x,
            Linearization::Ln => x.ln(),
            Linearization::Log10 => x.log10(),
            Linearization::Log2 => x.log2(),
            Linearization::Exp => x.exp(),
            Linearization::Exp10 => 10f64.powf(x),
            Linearization::Exp2 => x.exp2(),
            Linearization::Inverse => x.recip(),
            Linearization::Square => x * x,
            Linearization::Cube => x * x * x,
            Linearization::SquareRoot => x.sqrt(),
            Linearization::CubeRoot => x.cbrt(),
        }
    }
}

impl Factors {
    /// From six bytes, as in an SDR and in the response to Get Sensor Reading Factors.
    pub(crate) fn read([m, m_high, b, b_high, accuracy, exponents]: [u8; 6]) -> Self {
        Factors {
            m: signed(u16::from(m_high & 0xc0) << 2 | u16::from(m), 10),
            b: signed(u16::from(b_high & 0xc0) << 2 | u16::from(b), 10),
            b_exponent: signed(u16::from(exponents & 0x0f), 4) as i8,
            r_exponent: signed(u16::from(exponents >> 4), 4) as i8,
            tolerance: m_high & 0x3f,
            accuracy: u16::from(accuracy >> 4) << 6 | u16::from(b_high & 0x3f),
            accuracy_exponent: accuracy >> 2 & 3,
        }
    }

    /// The value of a number; `None` where there is none, such as the logarithm of 0.
    pub fn value(&self, number: i16, linearization: Linearization) -> Option<f64> {
        // In whole numbers as far as possible: (35 + 0.3) * 100 is 3529.9999999999995.
        let (product, b) = (i64::from(self.m) * i64::from(number), i64::from(self.b));
        let power = 10i64.pow(self.b_exponent.unsigned_abs().into());
        let linear = match self.b_exponent {
            0.. => scaled((product + b * power) as f64, self.r_exponent),
            _ => scaled((product * power + b) as f64, self.r_exponent + self.b_exponent),
        };
        Some(linearization.apply(linear)).filter(|value| value.is_finite())
    }

    /// How far off a linear sensor's value may be because it is a whole number of counts.
    pub fn tolerance_of_value(&self) -> f64 {
        scaled(f64::from(self.m).abs() * f64::from(self.tolerance) / 2.0, self.r_exponent)
    }

    /// How far off a value may be, in percent of it.
    pub fn accuracy_percent(&self) -> f64 {
        f64::from(self.accuracy) * 10f64.powi(self.accuracy_exponent.into()) / 100.0
    }
}

/// `x * 10^exponent`. A negative power is divided by, which is exact more often than a
/// multiplication by 0.1 is: 1234 becomes 12.34 and not 12.340000000000002.
fn scaled(x: f64, exponent: i8) -> f64 {
    let power = 10f64.powi(i32::from(exponent).abs());
    if exponent < 0 { x / power } else { x * power }
}

/// The two's complement of so many bits.
fn signed(bits: u16, count: u32) -> i16 {
    let unused = 16 - count;
    (bits << unused).cast_signed() >> unused
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M, B, K1 and K2 as the bytes of an SDR.
    fn factors(m: i16, b: i16, k1: i8, k2: i8) -> Factors {
        let low = |x: i16| x.cast_unsigned() as u8;
        let high = |x: i16| (x.cast_unsigned() >> 2) as u8 & 0xc0;
        let exponents = k2.cast_unsigned() << 4 | k1.cast_unsigned() & 0x0f;
        Factors::read([low(m), high(m), low(b), high(b), 0, exponents])
    }

    fn value(factors: Factors, number: i16, linearization: u8) -> Option<f64> {
        factors.value(number, Linearization::of(linearization))
    }

    #[test]
    fn factors_are_twos_complement_of_ten_and_four_bits() {
        let made = factors(-1, -512, -8, 7);
        assert_eq!((made.m, made.b, made.b_exponent, made.r_exponent), (-1, -512, -8, 7));
        let made = factors(511, 256, 7, -1);
        assert_eq!((made.m, made.b, made.b_exponent, made.r_exponent), (511, 256, 7, -1));
        let made = Factors::read([0, 0x3f, 0, 0x2a, 0x98, 0]);
        assert_eq!((made.m, made.b, made.tolerance), (0, 0, 63));
        assert_eq!((made.accuracy, made.accuracy_exponent), (0x26a, 2));
        assert_eq!(made.accuracy_percent(), 618.0);
        assert_eq!(factors(4, 0, 0, 0).tolerance_of_value(), 0.0);
    }

    #[test]
    fn bytes_are_numbers_in_their_format() {
        let all = |raw| {
            [DataFormat::Unsigned, DataFormat::OnesComplement, DataFormat::TwosComplement]
                .map(|format| format.number(raw))
        };
        assert_eq!(all(0x7f), [Some(127); 3]);
        assert_eq!(all(0xff), [Some(255), Some(0), Some(-1)]);
        assert_eq!(all(0x80), [Some(128), Some(-127), Some(-128)]);
        assert_eq!(DataFormat::of(0xc0).number(5), None);
    }

    #[test]
    fn values_come_out_as_computed_by_hand() {
        // A fan: 60 RPM a count. A 12 V rail: 0.063 V a count. An inlet: one degree a count.
        assert_eq!(value(factors(60, 0, 0, 0), 88, 0), Some(5280.0));
        assert_eq!(value(factors(63, 0, 0, -3), 192, 0), Some(12.096));
        assert_eq!(value(factors(1, 0, 0, 0), -5, 0), Some(-5.0));
        // (-1 * 55 + 0) and (-2 * 30 + 10 * 10^1) * 10^-1.
        assert_eq!(value(factors(-1, 0, 0, 0), 55, 0), Some(-55.0));
        assert_eq!(value(factors(-2, 10, 1, -1), 30, 0), Some(4.0));
        // (5 * 7 + 3 * 10^-1) * 10^2.
        assert_eq!(value(factors(5, 3, -1, 2), 7, 0), Some(3530.0));
        // 1/8, 3 squared, 3 cubed, roots of 144 and 27.
        assert_eq!(value(factors(1, 0, 0, 0), 8, 7), Some(0.125));
        assert_eq!(value(factors(1, 0, 0, 0), 3, 8), Some(9.0));
        assert_eq!(value(factors(1, 0, 0, 0), -3, 9), Some(-27.0));
        assert_eq!(value(factors(2, 0, 0, 0), 72, 10), Some(12.0));
        assert_eq!(value(factors(1, 0, 0, 0), 27, 11), Some(3.0));
        let near = |linearization, number, wanted: f64| {
            let got = value(factors(1, 0, 0, 0), number, linearization).expect("a value");
            assert!((got - wanted).abs() < 1e-6, "{linearization}: {got} is not {wanted}");
        };
        near(1, 20, 2.995_732_3);
        near(2, 1000, 3.0);
        near(3, 32, 5.0);
        near(4, 2, 7.389_056_1);
        near(5, 3, 1000.0);
        near(6, 10, 1024.0);
        near(11, -8, -2.0);
        // A non-linear sensor's factors are linear ones of one byte.
        assert_eq!(value(factors(3, 1, 0, 0), 4, 0x70), Some(13.0));
        assert_eq!(Linearization::of(0x8b), Linearization::CubeRoot);
        assert_eq!(Linearization::of(12), Linearization::Other(12));
    }

    #[test]
    fn there_is_not_always_a_value() {
        assert_eq!(value(factors(1, 0, 0, 0), 0, 1), None);
        assert_eq!(value(factors(1, 0, 0, 0), 0, 7), None);
        assert_eq!(value(factors(1, 0, 0, 0), -1, 10), None);
        assert_eq!(value(factors(511, 0, 0, 7), 255, 5), None);
    }
}
