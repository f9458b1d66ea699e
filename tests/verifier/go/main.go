// Command verifier verifies files of receipts with nothing but the key of the log that signed them.
//
// It shares no code with the ledger, and needs nothing but the standard library: what it does is what
// docs/guides/receipts.md says. It prints a line per file, and ends with 1 where it refuses one.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "--blake3" {
		judgeBlake3(os.Args[2])
		return
	}
	if len(os.Args) == 3 && os.Args[1] == "--events" {
		judgeEvents(os.Args[2])
		return
	}
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: verifier KEY FILE...   (FILE - : names of files, a line each, on standard input)")
		os.Exit(2)
	}
	key, err := parseKey(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	refused := false
	for _, name := range files(os.Args[2:]) {
		data, err := os.ReadFile(name)
		id := ""
		if err == nil {
			id, err = verify(data, key)
		}
		if err != nil {
			refused = true
			fmt.Printf("refused %s: %v\n", name, err)
		} else {
			fmt.Printf("ok %s %s\n", name, id)
		}
	}
	if refused {
		os.Exit(1)
	}
}

func files(arguments []string) []string {
	if len(arguments) != 1 || arguments[0] != "-" {
		return arguments
	}
	var found []string
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		found = append(found, lines.Text())
	}
	return found
}

// load reads vectors; without them there is nothing to judge.
func load(file string, vectors any) {
	data, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(data, vectors)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// judgeBlake3 holds the hash to the published vectors.
func judgeBlake3(file string) {
	var vectors struct {
		Context string `json:"context_string"`
		Cases   []struct {
			InputLen  int    `json:"input_len"`
			Hash      string `json:"hash"`
			DeriveKey string `json:"derive_key"`
		}
	}
	load(file, &vectors)
	wrong := 0
	for _, each := range vectors.Cases {
		input := make([]byte, each.InputLen)
		for at := range input {
			input[at] = byte(at % 251)
		}
		plain, derived := blake3Sum(input), blake3Derived(vectors.Context, input)
		if hex.EncodeToString(plain[:]) != each.Hash[:64] || hex.EncodeToString(derived[:]) != each.DeriveKey[:64] {
			wrong++
		}
	}
	fmt.Printf("%d vectors, %d disagreements\n", len(vectors.Cases), wrong)
	if wrong > 0 {
		os.Exit(1)
	}
}
