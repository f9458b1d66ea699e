package main

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// The grammar as README.md states it. Each function gives the first rule that its text breaks, or "".

const (
	maxPathBytes    = 1024
	maxSegmentBytes = 255
	maxDepth        = 32
	maxNameLength   = 128
)

var worldName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*\z`)

func (u *Unicode) path(text string) string {
	if utf8.RuneCountInString(text) > maxPathBytes {
		return "path_bytes"
	}
	if !strings.HasPrefix(text, "/") {
		return "leading_slash"
	}
	if rule := u.characters(text); rule != "" {
		return rule
	}
	segments := strings.Split(text[1:], "/")
	if !isFacet(segments[0]) {
		return "facet"
	}
	if len(segments) == 1 {
		return "below_facet"
	}
	if len(segments) > maxDepth {
		return "depth"
	}
	for _, segment := range segments {
		if rule := u.segment(segment); rule != "" {
			return rule
		}
	}
	if len(text) > maxPathBytes {
		return "path_bytes"
	}
	return ""
}

func (u *Unicode) characters(text string) string {
	if strings.Contains(text, "%") {
		return "percent"
	}
	if strings.Contains(text, `\`) {
		return "backslash"
	}
	for _, rule := range []struct {
		name   string
		broken func(rune) bool
	}{
		{"character", func(each rune) bool { return !u.permitted.has(each) }},
		{"lowercase", u.capitals.has},
	} {
		if strings.IndexFunc(text, rule.broken) >= 0 {
			return rule.name
		}
	}
	if !u.isNFC(text) {
		return "nfc"
	}
	if strings.IndexFunc(text, u.lookalikes.has) >= 0 {
		return "lookalike"
	}
	return ""
}

func (u *Unicode) segment(segment string) string {
	switch segment {
	case "":
		return "empty_segment"
	case ".", "..":
		return "dot_segment"
	case "**":
		return "reserved_segment"
	}
	first, _ := utf8.DecodeRuneInString(segment)
	last, _ := utf8.DecodeLastRuneInString(segment)
	if u.spaces.has(first) || u.spaces.has(last) {
		return "edge_space"
	}
	if len(segment) > maxSegmentBytes {
		return "segment_bytes"
	}
	return ""
}

func (u *Unicode) prefix(text string) string {
	path, found := strings.CutSuffix(text, "/")
	if !found {
		return "prefix_slash"
	}
	if strings.HasPrefix(path, "/") && isFacet(path[1:]) {
		return ""
	}
	if rule := u.path(path); rule != "" {
		return rule
	}
	if len(text) >= maxPathBytes {
		return "path_bytes"
	}
	return ""
}

func isFacet(segment string) bool {
	return segment == "artifacts" || segment == "streams"
}

func world(text string) string {
	if length := utf8.RuneCountInString(text); length == 0 || length > maxNameLength {
		return "name_length"
	}
	if !worldName.MatchString(text[:1]) {
		return "name_first"
	}
	if !worldName.MatchString(text) {
		return "name_character"
	}
	return ""
}

// fromURL decodes once.
func (u *Unicode) fromURL(raw string) (path, rule string) {
	var decoded []byte
	for at := 0; at < len(raw); at++ {
		each := raw[at]
		if each >= utf8.RuneSelf {
			return "", "percent"
		}
		if each == '%' {
			if at+2 >= len(raw) {
				return "", "percent"
			}
			high, low := digit(raw[at+1]), digit(raw[at+2])
			if high < 0 || low < 0 {
				return "", "percent"
			}
			each, at = byte(high<<4|low), at+2
			if each == '/' || each == '\\' || each == 0 {
				return "", "percent"
			}
		}
		decoded = append(decoded, each)
	}
	if !utf8.Valid(decoded) {
		return "", "percent"
	}
	return string(decoded), u.path(string(decoded))
}

func toURL(path string) string {
	return escaped(path, "%", "0123456789ABCDEF", func(at int) bool {
		return strings.IndexByte("-._~/", path[at]) >= 0
	})
}

// storageKey is the key that spells a place; "" where the key is hashed.
func storageKey(world, path string) string {
	place := world + path
	edge := func(at int) bool {
		return at < 0 || at == len(place) || place[at] == '.' || place[at] == '/'
	}
	key := "w/" + escaped(place, "!", "0123456789abcdef", func(at int) bool {
		switch place[at] {
		case '.':
			return !edge(at-1) && !edge(at+1)
		case '/', '-', '_':
			return true
		}
		return false
	})
	if len(key) > 1024 {
		return ""
	}
	for _, part := range strings.Split(key, "/") {
		if len(part) > 255 {
			return ""
		}
	}
	return key
}

var hashedKey = regexp.MustCompile(`^h/[0-9a-f]{64}\z`)

// isKey tells whether some place has this key; of a hashed one, whether it looks like one.
func (u *Unicode) isKey(key string) bool {
	if hashedKey.MatchString(key) {
		return true
	}
	var place []byte
	for at := 0; at < len(key); at++ {
		each := key[at]
		if each == '!' {
			if at+2 >= len(key) || digit(key[at+1]) < 0 || digit(key[at+2]) < 0 {
				return false
			}
			each, at = byte(digit(key[at+1])<<4|digit(key[at+2])), at+2
		}
		place = append(place, each)
	}
	name, path, _ := strings.Cut(strings.TrimPrefix(string(place), "w/"), "/")
	path = "/" + path
	return utf8.Valid(place) && world(name) == "" && u.path(path) == "" && storageKey(name, path) == key
}

func escaped(text, mark, digits string, stays func(at int) bool) string {
	var out strings.Builder
	for at := 0; at < len(text); at++ {
		each := text[at]
		if each >= 'a' && each <= 'z' || each >= '0' && each <= '9' || stays(at) {
			out.WriteByte(each)
		} else {
			out.WriteString(mark + digits[each>>4:each>>4+1] + digits[each&15:each&15+1])
		}
	}
	return out.String()
}

func digit(each byte) int {
	switch {
	case each >= '0' && each <= '9':
		return int(each - '0')
	case each >= 'a' && each <= 'f':
		return int(each-'a') + 10
	case each >= 'A' && each <= 'F':
		return int(each-'A') + 10
	}
	return -1
}
