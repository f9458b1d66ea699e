package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// The canonical JSON of RFC 8785, for documents without floating-point numbers: such are receipts, events and files.

const (
	maxSafe  = 1<<53 - 1
	maxDepth = 64
)

// parse reads a JSON object whose text is its one canonical form: no key comes twice, nothing can be read two ways.
func parse(text []byte) (map[string]any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var found map[string]any
	if err := decoder.Decode(&found); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, errors.New("something follows the object")
	}
	again, err := canonical(found)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, text) {
		return nil, errors.New("not canonical")
	}
	return found, nil
}

func canonical(value any) ([]byte, error) {
	var out bytes.Buffer
	err := write(&out, value, maxDepth)
	return out.Bytes(), err
}

func write(out *bytes.Buffer, value any, depth int) error {
	switch found := value.(type) {
	case nil:
		out.WriteString("null")
	case bool:
		out.WriteString(strconv.FormatBool(found))
	case string:
		return writeText(out, found)
	case json.Number:
		number, err := strconv.ParseInt(found.String(), 10, 64)
		if err != nil || number > maxSafe || number < -maxSafe {
			return fmt.Errorf("%s is no exact integer", found)
		}
		out.WriteString(strconv.FormatInt(number, 10))
	case []any:
		return writeList(out, found, depth)
	case map[string]any:
		return writeObject(out, found, depth)
	default:
		return fmt.Errorf("%T is no JSON", value)
	}
	return nil
}

func writeList(out *bytes.Buffer, list []any, depth int) error {
	if depth == 0 {
		return errors.New("nested too deeply")
	}
	out.WriteByte('[')
	for at, each := range list {
		if at > 0 {
			out.WriteByte(',')
		}
		if err := write(out, each, depth-1); err != nil {
			return err
		}
	}
	out.WriteByte(']')
	return nil
}

func writeObject(out *bytes.Buffer, object map[string]any, depth int) error {
	if depth == 0 {
		return errors.New("nested too deeply")
	}
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	sort.Slice(keys, func(i, j int) bool { return before(keys[i], keys[j]) })
	out.WriteByte('{')
	for at, key := range keys {
		if at > 0 {
			out.WriteByte(',')
		}
		if err := writeText(out, key); err != nil {
			return err
		}
		out.WriteByte(':')
		if err := write(out, object[key], depth-1); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

// before tells whether a key comes before another: by the units of UTF-16.
func before(one, other string) bool {
	a, b := utf16.Encode([]rune(one)), utf16.Encode([]rune(other))
	for at := 0; at < len(a) && at < len(b); at++ {
		if a[at] != b[at] {
			return a[at] < b[at]
		}
	}
	return len(a) < len(b)
}

var short = map[rune]string{'\b': `\b`, '\t': `\t`, '\n': `\n`, '\f': `\f`, '\r': `\r`, '"': `\"`, '\\': `\\`}

func writeText(out *bytes.Buffer, text string) error {
	if !utf8.ValidString(text) {
		return errors.New("not UTF-8")
	}
	out.WriteByte('"')
	for _, each := range text {
		if escape, ok := short[each]; ok {
			out.WriteString(escape)
		} else if each < 0x20 {
			fmt.Fprintf(out, `\u%04x`, each)
		} else {
			out.WriteRune(each)
		}
	}
	out.WriteByte('"')
	return nil
}
