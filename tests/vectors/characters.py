"""The characters that the vectors of paths are built from, by what becomes of them. Listed: no interpreter is asked."""

from collections.abc import Iterator

# Every character whose NFKC form holds one of / . % \ : and which is none of those.
LOOKALIKES = (
    "\u2024\u2025\u2026\u2100\u2101\u2105\u2106\u2488\u2489\u248a\u248b\u248c\u248d\u248e\u248f\u2490\u2491\u2492"
    "\u2493\u2494\u2495\u2496\u2497\u2498\u2499\u249a\u249b\u2a74\u33c2\u33c7\u33d8\ufe13\ufe19\ufe30\ufe52\ufe55"
    "\ufe68\ufe6a\uff05\uff0e\uff0f\uff1a\uff3c\U0001f100"
)
# Every space that a segment may hold inside, and none may begin or end with.
SPACES = " \u00a0\u1680\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"

# Ranges, both ends included.
_CONTROLS = ((0x00, 0x1F), (0x7F, 0x9F))
_FORMATS = (
    *((0xAD, 0xAD), (0x600, 0x605), (0x61C, 0x61C), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2)),
    *((0x180E, 0x180E), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2064), (0x2066, 0x206F), (0xFEFF, 0xFEFF)),
    *((0xFFF9, 0xFFFB), (0x110BD, 0x110BD), (0x110CD, 0x110CD), (0x13430, 0x13438), (0x1BCA0, 0x1BCA3)),
    *((0x1D173, 0x1D17A), (0xE0001, 0xE0001), (0xE0020, 0xE0022), (0xE0061, 0xE0063), (0xE007E, 0xE007F)),
)
_LINES = ((0x2028, 0x2029),)
_PRIVATE = ((0xE000, 0xE001), (0xEFFF, 0xF000), (0xF8FF, 0xF8FF))
_NEVER = (
    *((0x378, 0x379), (0x530, 0x530), (0x5FF, 0x5FF), (0x2065, 0x2065), (0x2E9A, 0x2E9A), (0xFDD0, 0xFDEF)),
    *((0xFFF0, 0xFFF0), (0x1000C, 0x1000C), (0x1D455, 0x1D455), (0x1D49D, 0x1D49D), (0x1D4BA, 0x1D4BA)),
    *((0x1D547, 0x1D547), (0x1DFFF, 0x1DFFF), (0x1F0FF, 0x1F0FF), (0x2A6E0, 0x2A6E0), (0x2B73E, 0x2B73F)),
    *((0x2FA1E, 0x2FA1E), (0x2FFFD, 0x2FFFD), (0x3FFFD, 0x3FFFD), (0xE0000, 0xE0000), (0xE0002, 0xE0002)),
    *((0xE0080, 0xE0080), (0xE00FF, 0xE00FF), (0xE01F0, 0xE01F0), (0xEFFFD, 0xEFFFD)),
)
# Assigned after Unicode 14, so that a younger table would take them: letters, capitals, marks, symbols, ideographs.
_LATER = (
    *((0x897, 0x897), (0xCF3, 0xCF3), (0xECE, 0xECE), (0x1B4E, 0x1B4F), (0x1C89, 0x1C8A), (0x2427, 0x2429)),
    *((0x2FFC, 0x2FFF), (0x31E4, 0x31E5), (0x31EF, 0x31EF), (0xA7CB, 0xA7CD), (0xA7DA, 0xA7DC), (0x105C0, 0x105C2)),
    *((0x10D40, 0x10D42), (0x10D50, 0x10D52), (0x10EC2, 0x10EC4), (0x10EFD, 0x10EFF), (0x1123F, 0x11241)),
    *((0x11B00, 0x11B02), (0x11F00, 0x11F02), (0x13439, 0x1343B), (0x13460, 0x13461), (0x16100, 0x16101)),
    *((0x1B132, 0x1B132), (0x1B155, 0x1B155), (0x1CC00, 0x1CC01), (0x1D2C0, 0x1D2C2), (0x1DF25, 0x1DF2A)),
    *((0x1E030, 0x1E032), (0x1E08F, 0x1E08F), (0x1E4D0, 0x1E4D2), (0x1E5D0, 0x1E5D1), (0x1F6DC, 0x1F6DC)),
    *((0x1F774, 0x1F776), (0x1F7D9, 0x1F7D9), (0x1FA75, 0x1FA77), (0x1FA87, 0x1FA89), (0x1FAE8, 0x1FAE9)),
    *((0x2B739, 0x2B739), (0x2EBF0, 0x2EBF1), (0x2EE5D, 0x2EE5D), (0x31350, 0x31351), (0x323AF, 0x323AF)),
)
# Capitals with the first of their small letters; zero where lower() leaves them alone.
_CAPITALS = (
    *((0x41, 0x5A, 0x61), (0xC0, 0xD6, 0xE0), (0xD8, 0xDE, 0xF8), (0x391, 0x3A1, 0x3B1), (0x3A3, 0x3AB, 0x3C3)),
    *((0x410, 0x42F, 0x430), (0x400, 0x40F, 0x450), (0x531, 0x556, 0x561), (0x10A0, 0x10C5, 0x2D00)),
    *((0x1C90, 0x1C9F, 0x10D0), (0x13A0, 0x13AF, 0xAB70), (0x2C00, 0x2C0F, 0x2C30), (0x2160, 0x216F, 0x2170)),
    *((0x24B6, 0x24CF, 0x24D0), (0xFF21, 0xFF3A, 0xFF41), (0x10400, 0x1040F, 0x10428), (0x104B0, 0x104BF, 0x104D8)),
    *((0x118A0, 0x118AF, 0x118C0), (0x16E40, 0x16E4F, 0x16E60), (0x1E900, 0x1E90F, 0x1E922)),
    *((0x1D400, 0x1D419, 0), (0x1D468, 0x1D46F, 0), (0x1D7A8, 0x1D7A8, 0), (0x1D7CA, 0x1D7CA, 0)),
    *((0x2102, 0x2102, 0), (0x2107, 0x2107, 0), (0x210B, 0x210D, 0), (0x2115, 0x2115, 0), (0x2119, 0x211D, 0)),
    # Title case, capitals of two letters, capitals of which one is a trap of its own.
    *((0x1C5, 0x1C5, 0), (0x1C8, 0x1C8, 0), (0x1CB, 0x1CB, 0), (0x1F2, 0x1F2, 0), (0x1F88, 0x1F8F, 0)),
    *((0x1C4, 0x1C4, 0), (0x130, 0x130, 0), (0x178, 0x178, 0), (0x1E9E, 0x1E9E, 0), (0x3F4, 0x3F4, 0)),
    *((0x2126, 0x2126, 0), (0x212A, 0x212B, 0)),
)
# What stands for itself, composed or alone, of every plane that has any; some a reader would take for something else.
ACCEPTED = (
    *"\u00e9\u00df\u0131\u017f\u00aa\u0138\u0149\u01f0\u0390\u03c2\u0436\u05d0\u0627\ud55c\u2603\u00bd\ufb01\u2013\u201c",
    *"\u20ac\U0001f600\u2215\u2044\u29f8\u2216\u066a\u0589\u02d0\ua789\u2236\u3002\u00b7\u00b2",
    *"\u4e00\u9fff\u3400\uac00\ud7a3\ufffd\ufffc\ufe0f\U00010000\U0001f9ff\U00020000\U0002a6df\U0002a700",
    *"\U0002b738\U0002ebe0\U00030000\U0003134a\U000e0100\U000e01ef\u3042\u30a2\u1100\u11a8\u0e01\u0915",
    *("\u0905\u093c", "\u65e5\u672c", "\u0e01\u0e33", "\u2764\ufe0f", "q\u0323\u0307", "x\u0301\u0302", "\u0915\u093c"),
)
# In another form than NFC: singletons, compositions that Unicode excludes, jamo, marks out of order.
NOT_NFC = (
    *("\u0344", "\u0340", "\u0343", "\u0374", "\u037e", "\u0387", "\u1f71", "\u1f73", "\u1fef", "\u1ffd", "\u2000"),
    *("\u2001", "\u2329", "\u232a", "\u0958", "\u095f", "\u09dc", "\u09df", "\u0a33", "\u0b5c", "\u0f43", "\u2adc"),
    *("\uf900", "\ufa0d", "\ufad9", "\ufb1d", "\ufb1f", "\ufb2a", "\ufb4e", "\U0001d15e", "\U0001d164", "\U0001d1bb"),
    *("\U0002f800", "\U0002fa1d", "\u1100\u1161", "\u1112\u1175", "\uac00\u11a8", "\u1100\u1161\u11a8", "\u0928\u093c"),
    *("\u0930\u093c", "\u09c7\u09be", "\u0b47\u0b56", "\u1025\u102e", "\u3046\u3099", "\u304b\u3099", "\u306f\u309a"),
    *("q\u0307\u0323", "x\u0301\u0327", "a\u0301\u0323", "o\u0302\u0323", "\u05d0\u05bc\u05b0", "\u03b1\u0345\u0301"),
    *("\U00011131\U00011127", "\U000114b9\U000114ba"),
)
# A letter, a mark, and the one character that NFC makes of both.
COMPOSED = (
    ("\u0300", "aeioun", "\u00e0\u00e8\u00ec\u00f2\u00f9\u01f9"),
    ("\u0301", "aeiouyclnrszg", "\u00e1\u00e9\u00ed\u00f3\u00fa\u00fd\u0107\u013a\u0144\u0155\u015b\u017a\u01f5"),
    ("\u0302", "aeioucghjswy", "\u00e2\u00ea\u00ee\u00f4\u00fb\u0109\u011d\u0125\u0135\u015d\u0175\u0177"),
    ("\u0303", "anoiu", "\u00e3\u00f1\u00f5\u0129\u0169"),
    ("\u0304", "aeiou", "\u0101\u0113\u012b\u014d\u016b"),
    ("\u0308", "aeiouy", "\u00e4\u00eb\u00ef\u00f6\u00fc\u00ff"),
    ("\u030a", "au", "\u00e5\u016f"),
    ("\u030c", "cdenrstz", "\u010d\u010f\u011b\u0148\u0159\u0161\u0165\u017e"),
    ("\u0323", "aeiouy", "\u1ea1\u1eb9\u1ecb\u1ecd\u1ee5\u1ef5"),
    ("\u0327", "cgklnrst", "\u00e7\u0123\u0137\u013c\u0146\u0157\u015f\u0163"),
    ("\u0301", "\u03b1\u03b5\u03b7\u03b9\u03bf\u03c5\u03c9", "\u03ac\u03ad\u03ae\u03af\u03cc\u03cd\u03ce"),
    ("\u0306", "\u0438\u0443", "\u0439\u045e"),
    ("\u3099", "\u304b\u304d\u304f\u3055\u306f\u30ab", "\u304c\u304e\u3050\u3056\u3070\u30ac"),
)


def refused() -> Iterator[str]:
    """Controls, formats, line separators, private use, what is not assigned, what was not; of every plane."""
    for ranges in (_CONTROLS, _FORMATS, _LINES, _PRIVATE, _NEVER, _LATER):
        for low, high in ranges:
            yield from map(chr, range(low, high + 1))
    for plane in range(17):
        yield from (chr((plane << 16) + last) for last in (0xFFFE, 0xFFFF))
        if 4 <= plane <= 13 or plane >= 15:
            yield from (chr((plane << 16) + low) for low in (0, 1, 0x8000, 0xFFFD))


def capitals() -> Iterator[tuple[str, str | None]]:
    """Each capital, with its small letter where the table has it."""
    for low, high, small in _CAPITALS:
        for number in range(low, high + 1):
            yield chr(number), chr(number - low + small) if small else None
