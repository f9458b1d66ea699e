package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// The log: its key, the notes that it signs, and the tree of RFC 6962 that they are about.

type logKey struct {
	name   string
	id     []byte
	public ed25519.PublicKey
}

var logName = regexp.MustCompile(`^[^\s+\x00-\x1f\x7f]{1,200}$`)

// parseKey reads a key as its ledger writes it: name, 4 bytes that stand for it, and 01 with the 32 bytes of Ed25519.
func parseKey(text string) (logKey, error) {
	parts := strings.SplitN(strings.TrimSpace(text), "+", 3)
	if len(parts) != 3 || !logName.MatchString(parts[0]) {
		return logKey{}, errors.New("a key is name+id+key")
	}
	raw, err := decode(parts[2])
	if err != nil || len(raw) != 33 || raw[0] != 1 {
		return logKey{}, errors.New("not a key of Ed25519")
	}
	digest := sha256.Sum256(append([]byte(parts[0]+"\n"), raw...))
	if hex.EncodeToString(digest[:4]) != parts[1] {
		return logKey{}, errors.New("the id is not that of the key")
	}
	return logKey{parts[0], digest[:4], ed25519.PublicKey(raw[1:])}, nil
}

type checkpoint struct {
	size int64
	root []byte
}

var (
	control = regexp.MustCompile(`[\x00-\x09\x0b-\x1f\x7f]`)
	decimal = regexp.MustCompile(`^(0|[1-9][0-9]{0,18})$`)
)

// open reads a note that the key has signed.
func (key logKey) open(note string) (checkpoint, error) {
	none := checkpoint{}
	cut := strings.LastIndex(note, "\n\n")
	if cut < 1 || len(note) > 16*1024 || !strings.HasSuffix(note[cut+2:], "\n") || control.MatchString(note) {
		return none, errors.New("this is no signed note")
	}
	text, below := note[:cut+1], strings.TrimSuffix(note[cut+2:], "\n")
	signed := false
	for _, line := range strings.Split(below, "\n") {
		fields := strings.SplitN(strings.TrimPrefix(line, "\u2014 "), " ", 2)
		if !strings.HasPrefix(line, "\u2014 ") || len(fields) != 2 || !logName.MatchString(fields[0]) {
			return none, errors.New("a line below the note is no signature")
		}
		raw, err := decode(fields[1])
		if err != nil || len(raw) <= 4 {
			return none, errors.New("a line below the note is no signature")
		}
		if fields[0] != key.name || !bytes.Equal(raw[:4], key.id) {
			continue // somebody else's
		}
		if len(raw) != 4+ed25519.SignatureSize || !ed25519.Verify(key.public, []byte(text), raw[4:]) {
			return none, errors.New("the signature of the checkpoint is wrong")
		}
		signed = true
	}
	if !signed {
		return none, errors.New("the checkpoint is not signed by this log")
	}
	return key.read(text)
}

func (key logKey) read(text string) (checkpoint, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || !decimal.MatchString(lines[1]) {
		return checkpoint{}, errors.New("the note is no checkpoint")
	}
	for _, each := range lines {
		if each == "" {
			return checkpoint{}, errors.New("the note is no checkpoint")
		}
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	root, other := decode(lines[2])
	if err != nil || other != nil || len(root) != sha256.Size {
		return checkpoint{}, errors.New("the note is no checkpoint")
	}
	if lines[0] != key.name {
		return checkpoint{}, errors.New("the checkpoint is one of another log")
	}
	return checkpoint{size, root}, nil
}

// includes returns nil where the proof leads from the leaf at a place to the root.
func (state checkpoint) includes(leaf []byte, index int64, proof [][]byte) error {
	if index < 0 || index >= state.size || len(proof) > 63 {
		return errors.New("the tree has no such leaf")
	}
	// On the way up each hash joins from the left or from the right; a node without a sibling only moves up.
	place, last := index, state.size-1
	found := leaf
	for _, other := range proof {
		if len(other) != sha256.Size || last == 0 {
			return errors.New("the proof has the wrong form")
		}
		if place%2 == 1 || place == last {
			found = inner(other, found)
			for place%2 == 0 && place != 0 {
				place, last = place/2, last/2
			}
		} else {
			found = inner(found, other)
		}
		place, last = place/2, last/2
	}
	if last != 0 || !bytes.Equal(found, state.root) {
		return errors.New("the proof does not lead to the root")
	}
	return nil
}

func leafHash(data []byte) []byte {
	digest := sha256.Sum256(append([]byte{0}, data...))
	return digest[:]
}

func inner(left, right []byte) []byte {
	digest := sha256.Sum256(append(append([]byte{1}, left...), right...))
	return digest[:]
}

// decode reads base64 in its one spelling.
func decode(text string) ([]byte, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(raw) != text {
		return nil, errors.New("not base64")
	}
	return raw, nil
}
