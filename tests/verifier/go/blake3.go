package main

import (
	"encoding/binary"
	"math/bits"
)

// BLAKE3 as its specification has it, one compression at a time: for hashes of 32 bytes, plain and with a derived key.

const (
	blockBytes = 64
	chunkBytes = 1024

	chunkStart        = 1
	chunkEnd          = 2
	parent            = 4
	root              = 8
	deriveKeyContext  = 32
	deriveKeyMaterial = 64
)

var initial = [8]uint32{
	0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
}

var shuffled = [16]int{2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8}

// node is a compression that has not been made yet: only the last one of all knows that it is the root.
type node struct {
	key     [8]uint32
	block   [16]uint32
	counter uint64
	length  uint32
	flags   uint32
}

func blake3Sum(data []byte) [32]byte {
	return sum(initial, data, 0)
}

func blake3Derived(context string, material []byte) [32]byte {
	contextKey := sum(initial, []byte(context), deriveKeyContext)
	return sum(words8(contextKey[:]), material, deriveKeyMaterial)
}

func sum(key [8]uint32, data []byte, flags uint32) [32]byte {
	last := subtree(key, data, 0, flags)
	last.flags |= root
	state := last.compress()
	var out [32]byte
	for at := 0; at < 8; at++ {
		binary.LittleEndian.PutUint32(out[4*at:], state[at])
	}
	return out
}

func subtree(key [8]uint32, data []byte, counter uint64, flags uint32) node {
	if len(data) <= chunkBytes {
		return chunk(key, data, counter, flags)
	}
	// The left part holds the largest power of two of whole chunks that leaves something to the right.
	left := 1 << (bits.Len(uint(len(data)-1)/chunkBytes) - 1) * chunkBytes
	one := subtree(key, data[:left], counter, flags).chain()
	other := subtree(key, data[left:], counter+uint64(left/chunkBytes), flags).chain()
	above := node{key: key, length: blockBytes, flags: flags | parent}
	copy(above.block[:8], one[:])
	copy(above.block[8:], other[:])
	return above
}

func chunk(key [8]uint32, data []byte, counter uint64, flags uint32) node {
	value, start := key, uint32(chunkStart)
	for len(data) > blockBytes {
		value = node{value, block(data[:blockBytes]), counter, blockBytes, flags | start}.chain()
		data, start = data[blockBytes:], 0
	}
	return node{value, block(data), counter, uint32(len(data)), flags | start | chunkEnd}
}

func block(data []byte) (found [16]uint32) {
	var padded [blockBytes]byte
	copy(padded[:], data)
	for at := range found {
		found[at] = binary.LittleEndian.Uint32(padded[4*at:])
	}
	return found
}

func words8(data []byte) (found [8]uint32) {
	for at := range found {
		found[at] = binary.LittleEndian.Uint32(data[4*at:])
	}
	return found
}

func (n node) chain() (value [8]uint32) {
	state := n.compress()
	copy(value[:], state[:8])
	return value
}

func (n node) compress() [16]uint32 {
	var s [16]uint32
	copy(s[:8], n.key[:])
	copy(s[8:12], initial[:4])
	s[12], s[13], s[14], s[15] = uint32(n.counter), uint32(n.counter>>32), n.length, n.flags
	message := n.block
	for round := 0; ; round++ {
		mix(&s, 0, 4, 8, 12, message[0], message[1])
		mix(&s, 1, 5, 9, 13, message[2], message[3])
		mix(&s, 2, 6, 10, 14, message[4], message[5])
		mix(&s, 3, 7, 11, 15, message[6], message[7])
		mix(&s, 0, 5, 10, 15, message[8], message[9])
		mix(&s, 1, 6, 11, 12, message[10], message[11])
		mix(&s, 2, 7, 8, 13, message[12], message[13])
		mix(&s, 3, 4, 9, 14, message[14], message[15])
		if round == 6 {
			break
		}
		var next [16]uint32
		for at, from := range shuffled {
			next[at] = message[from]
		}
		message = next
	}
	for at := 0; at < 8; at++ {
		s[at] ^= s[at+8]
		s[at+8] ^= n.key[at]
	}
	return s
}

func mix(s *[16]uint32, a, b, c, d int, x, y uint32) {
	s[a] += s[b] + x
	s[d] = bits.RotateLeft32(s[d]^s[a], -16)
	s[c] += s[d]
	s[b] = bits.RotateLeft32(s[b]^s[c], -12)
	s[a] += s[b] + y
	s[d] = bits.RotateLeft32(s[d]^s[a], -8)
	s[c] += s[d]
	s[b] = bits.RotateLeft32(s[b]^s[c], -7)
}
