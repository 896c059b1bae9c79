"""SHA-256 and SHA-512 compression, one round a clock."""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .constants import Parameters, parameters

BLOCK_WORDS = 16


def words_layout(word_bits: int) -> data.StructLayout:
    """Shape of padded message words: ``first`` and ``last`` word of the message are marked."""
    return data.StructLayout({"word": word_bits, "first": 1, "last": 1})


def _rotate_sum(word: Value, amounts: tuple[int, int, int]) -> Value:
    first, second, third = (word.rotate_right(amount) for amount in amounts)
    return first ^ second ^ third


def _small_sigma(word: Value, amounts: tuple[int, int, int]) -> Value:
    return word.rotate_right(amounts[0]) ^ word.rotate_right(amounts[1]) ^ (word >> amounts[2])


def _carry_save(first: Value, second: Value, third: Value) -> tuple[Value, Value]:
    """Two words with the sum of three, modulo the word size, without a carry chain."""
    majority = (first & second) | (first & third) | (second & third)
    return first ^ second ^ third, Cat(0, majority[:-1])


def _add(x: Value, y: Value, z: Value) -> Value:
    """Sum of three words modulo the word size with a single carry chain."""
    total, carries = _carry_save(x, y, z)
    return (total + carries)[: len(x)]


def block_clocks(bits: int) -> int:
    """Clocks :class:`Sha2` takes for a block whose words are never late."""
    return parameters(bits).rounds + 5


class Sha2(wiring.Component):
    """SHA-256 or SHA-512 of padded messages.

    Parameters
    ----------
    bits
        256 or 512.

    Members
    -------
    words : In(stream of {word: w, first: 1, last: 1})
        Padded message, sixteen words a block, w = 32 or 64. ``first`` on the first word of a
        message starts from the initial hash value; ``last`` on the last word of its last block
        ends it.
    digest : Out(stream of 8 w bits)
        The digest as the integer whose most significant byte is the digest's first byte.

    Timing
    ------
    A block's words enter during its first sixteen rounds; a word that is late holds the rounds up.
    ``latency``: clocks from the edge that takes a message's last word to the first that may take
    its digest. ``interval``: clocks a block takes if its words are never late. A message
    occupies the unit two clocks longer, for handing over the digest and being cleared.

    Security
    --------
    Words may be secret. Time depends on the streams' handshakes only. A clock after
    the digest was taken, message schedule, working variables and hash value are zero.

    Source: FIPS 180-4, sections 4.1, 5.3 and 6. h + K + W and d + h + K + W are summed ahead of the
    round, and T1 in it; a comes of T1 in the next clock, so that a to d are a round behind e to h,
    and whatever is summed has three terms.
    """

    def __init__(self, bits: int) -> None:
        self._parameters: Parameters = parameters(bits)
        word_bits = self._parameters.word_bits
        super().__init__(
            {
                "words": In(stream.Signature(words_layout(word_bits))),
                "digest": Out(stream.Signature(8 * word_bits)),
            }
        )

    @property
    def interval(self) -> int:
        """Clocks a block."""
        return block_clocks(self._parameters.bits)

    @property
    def latency(self) -> int:
        """Clocks from a message's last word to its digest."""
        return self.interval - (BLOCK_WORDS - 1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sha = self._parameters
        width, rounds = sha.word_bits, sha.rounds
        schedule = [Signal(width, name=f"schedule_{i}") for i in range(BLOCK_WORDS)]
        chain = [Signal(width, name=f"chain_{i}") for i in range(8)]
        state = [Signal(width, name=f"state_{name}") for name in "abcdefgh"]
        a, b, c, d, e, f, g, h = state
        partial = Signal(width)
        key_word = Signal(width)
        sum_h = Signal(width)
        sum_dh = Signal(width)
        t1 = Signal(width)
        count = Signal(range(self.interval))
        final = Signal()
        done, clears = Signal(), Signal()
        load, ends_e, ends = Signal(init=1), Signal(), Signal()
        step = Signal()
        secrets = [*schedule, *chain, *state, partial, key_word, sum_h, sum_dh, t1]

        constants = Memory(
            shape=width, depth=rounds, init=sha.round_constants, attrs={"ram_style": "block"}
        )
        m.submodules.constants = constants
        constant, round_constant = constants.read_port(), Signal(width)
        m.d.comb += [
            step.eq(~done & ~clears & (~load | self.words.valid)),
            self.words.ready.eq(load & ~done & ~clears),
            constant.addr.eq(Mux(step & ~ends, count + 1, 0)),
            constant.en.eq(step | (count == 0)),
            self.digest.valid.eq(done),
            self.digest.payload.eq(Cat(reversed(chain))),
        ]

        extended = (_small_sigma(schedule[14], sha.small_sigma1) + partial)[:width]
        choose = (e & f) ^ (~e & g)
        majority = (a & b) ^ (a & c) ^ (b & c)
        sigma0, sigma1 = _rotate_sum(a, sha.big_sigma0), _rotate_sum(e, sha.big_sigma1)
        with m.If(step):
            m.d.sync += [
                Cat(schedule).eq(Cat(schedule[1:], Mux(load, self.words.p.word, extended))),
                partial.eq(
                    _add(schedule[10], _small_sigma(schedule[2], sha.small_sigma0), schedule[1])
                ),
                round_constant.eq(constant.data),
                key_word.eq(schedule[15] + round_constant),
                sum_h.eq(g + key_word),
                sum_dh.eq(_add(g, key_word, b)),
                t1.eq(_add(sum_h, sigma1, choose)),
                Cat(b, c, d, f, g, h).eq(Cat(a, b, c, e, f, g)),
                a.eq(_add(t1, sigma0, majority)),
                e.eq(_add(sum_dh, sigma1, choose)),
                count.eq(count + 1),
                ends_e.eq(count == self.interval - 3),
                ends.eq(ends_e),
            ]
            with m.If(count == BLOCK_WORDS - 1):
                m.d.sync += load.eq(0)
            with m.If(load):
                m.d.sync += final.eq(self.words.p.last)
            with m.Switch(count):
                with m.Case(0), m.If(self.words.p.first):
                    m.d.sync += Cat(chain).eq(Cat(Const(word, width) for word in sha.initial))
                with m.Case(1):
                    m.d.sync += [b.eq(chain[3]), g.eq(chain[7])]
                with m.Case(2):
                    m.d.sync += [b.eq(chain[2]), Cat(e, f, g).eq(Cat(chain[4:7]))]
                with m.Case(3):
                    m.d.sync += Cat(a, b, c).eq(Cat(chain[:3]))
            later, sooner = (list(zip(chain, state, strict=True))[i : i + 4] for i in (0, 4))
            with m.If(ends_e):
                m.d.sync += [word.eq(word + more) for word, more in sooner]
            with m.If(ends):
                m.d.sync += [word.eq(word + more) for word, more in later]
                m.d.sync += [count.eq(0), load.eq(1), done.eq(final)]
        m.d.sync += clears.eq(done & self.digest.ready)
        with m.If(done & self.digest.ready):
            m.d.sync += done.eq(0)
        with m.If(clears):
            m.d.sync += [secret.eq(0) for secret in secrets]
        return m
