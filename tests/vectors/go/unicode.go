package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Unicode is what unicode14.json says: Go's own tables are of another version.
type Unicode struct {
	permitted, capitals, spaces, lookalikes set
	combining                               map[rune]int
	decompositions                          map[rune][]rune
	compositions                            map[[2]rune]rune
}

type set map[rune]bool

func (s set) has(each rune) bool { return s[each] }

type tables struct {
	Permitted, Capitals, Spaces, Lookalikes, Combining, Decompositions []string
	NotComposed                                                        []string `json:"not_composed"`
}

func newUnicode(t tables) (*Unicode, error) {
	u := &Unicode{combining: map[rune]int{}, decompositions: map[rune][]rune{}, compositions: map[[2]rune]rune{}}
	notComposed := set{}
	for _, each := range []struct {
		into *set
		from []string
	}{
		{&u.permitted, t.Permitted}, {&u.capitals, t.Capitals}, {&u.spaces, t.Spaces},
		{&u.lookalikes, t.Lookalikes}, {&notComposed, t.NotComposed},
	} {
		*each.into = set{}
		for _, text := range each.from {
			numbers, err := numbersOf(text)
			if err != nil {
				return nil, err
			}
			for _, number := range numbers {
				(*each.into)[number] = true
			}
		}
	}
	for _, text := range t.Combining {
		characters, class, _ := strings.Cut(text, ":")
		numbers, err := numbersOf(characters)
		if err != nil {
			return nil, err
		}
		for _, number := range numbers {
			if u.combining[number], err = strconv.Atoi(class); err != nil {
				return nil, err
			}
		}
	}
	for _, text := range t.Decompositions {
		whole, parts, _ := strings.Cut(text, ":")
		numbers, err := numbersOf(strings.Join(append([]string{whole}, strings.Fields(parts)...), ","))
		if err != nil {
			return nil, err
		}
		u.decompositions[numbers[0]] = numbers[1:]
		if len(numbers) == 3 && !notComposed[numbers[0]] {
			u.compositions[[2]rune{numbers[1], numbers[2]}] = numbers[0]
		}
	}
	return u, nil
}

// numbersOf reads "41", "41-5a" and "41,5a".
func numbersOf(text string) ([]rune, error) {
	var numbers []rune
	for _, part := range strings.Split(text, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		from, err := strconv.ParseUint(low, 16, 32)
		if err != nil {
			return nil, err
		}
		to, err := strconv.ParseUint(high, 16, 32)
		if err != nil {
			return nil, err
		}
		if to < from || to > 0x10FFFF {
			return nil, fmt.Errorf("no range: %s", part)
		}
		for each := from; each <= to; each++ {
			numbers = append(numbers, rune(each))
		}
	}
	return numbers, nil
}

// Hangul is arithmetic: a syllable is a leading and a vowel, and perhaps a trailing jamo.
const (
	syllables, leads, vowels, trails = 0xAC00, 0x1100, 0x1161, 0x11A7
	leadCount, vowelCount, trailN    = 19, 21, 28
	syllableCount                    = leadCount * vowelCount * trailN
)

func (u *Unicode) isNFC(text string) bool {
	var parts []rune
	for _, each := range text {
		parts = u.decomposed(parts, each)
	}
	u.order(parts)
	return string(u.composed(parts)) == text
}

func (u *Unicode) decomposed(into []rune, each rune) []rune {
	if at := each - syllables; at >= 0 && at < syllableCount {
		into = append(into, leads+at/(vowelCount*trailN), vowels+at%(vowelCount*trailN)/trailN)
		if trail := at % trailN; trail > 0 {
			into = append(into, trails+trail)
		}
		return into
	}
	parts, found := u.decompositions[each]
	if !found {
		return append(into, each)
	}
	for _, part := range parts {
		into = u.decomposed(into, part)
	}
	return into
}

// order sorts each run of marks by its class; equal ones stay as they are.
func (u *Unicode) order(parts []rune) {
	for start := 0; start < len(parts); start++ {
		end := start
		for end < len(parts) && u.combining[parts[end]] != 0 {
			end++
		}
		slices.SortStableFunc(parts[start:end], func(one, other rune) int {
			return u.combining[one] - u.combining[other]
		})
		start = end
	}
}

func (u *Unicode) composed(parts []rune) []rune {
	var out []rune
	starter, last := -1, 0
	for _, each := range parts {
		class := u.combining[each]
		if starter >= 0 && (last < class || last == 0 && starter == len(out)-1) {
			if whole, found := u.pair(out[starter], each); found {
				out[starter] = whole
				continue
			}
		}
		if class == 0 {
			starter = len(out)
		}
		last = class
		out = append(out, each)
	}
	return out
}

func (u *Unicode) pair(one, other rune) (rune, bool) {
	lead, vowel := one-leads, other-vowels
	if lead >= 0 && lead < leadCount && vowel >= 0 && vowel < vowelCount {
		return syllables + (lead*vowelCount+vowel)*trailN, true
	}
	syllable, trail := one-syllables, other-trails
	if syllable >= 0 && syllable < syllableCount && syllable%trailN == 0 && trail > 0 && trail < trailN {
		return one + trail, true
	}
	whole, found := u.compositions[[2]rune{one, other}]
	return whole, found
}
