// Command vectors judges the vectors of the World with a second implementation, made from README.md beside them alone.
//
// It reads the files of the folder that it is given, tells every vector that it would answer differently, and ends with
// 1 where there is one.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

type vector struct {
	Text, URL, Path, World, Key, Rule string
	Accept, Canonical                 bool
}

type vectors struct {
	Paths, Prefixes, Worlds, URLs, Keys []vector
	NoKeys                              []vector `json:"no_keys"`
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: vectors DIRECTORY")
		os.Exit(2)
	}
	judged, wrong, err := judge(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	fmt.Printf("%d vectors, %d disagreements\n", judged, wrong)
	if wrong > 0 {
		os.Exit(1)
	}
}

func judge(folder string) (judged, wrong int, err error) {
	var known tables
	var given, keys vectors
	for name, into := range map[string]any{
		"unicode14.json": &known, "world_path.json": &given, "storage_key.json": &keys,
	} {
		if err := read(filepath.Join(folder, name), into); err != nil {
			return 0, 0, err
		}
	}
	u, err := newUnicode(known)
	if err != nil {
		return 0, 0, err
	}
	check := func(listed []vector, kind string, answer func(vector) string) {
		for _, each := range listed {
			judged++
			if got := answer(each); got != "" {
				wrong++
				fmt.Printf("%s: %+q%+q%+q: %s\n", kind, each.Text, each.URL, each.Key, got)
			}
		}
	}
	check(given.Paths, "path", func(v vector) string { return differs(v, u.path(v.Text)) })
	check(given.Prefixes, "prefix", func(v vector) string { return differs(v, u.prefix(v.Text)) })
	check(given.Worlds, "world", func(v vector) string { return differs(v, world(v.Text)) })
	check(given.URLs, "url", func(v vector) string {
		path, rule := u.fromURL(v.URL)
		v.Accept = v.Path != ""
		if what := differs(v, rule); what != "" || rule != "" {
			return what
		}
		if path != v.Path {
			return fmt.Sprintf("it gives %+q", path)
		}
		if (toURL(path) == v.URL) != v.Canonical {
			return fmt.Sprintf("the path is written %s", toURL(path))
		}
		return ""
	})
	check(keys.Keys, "key", func(v vector) string {
		key := storageKey(v.World, v.Path)
		if hashed := strings.HasPrefix(v.Key, "h/") && len(v.Key) == 66; key != v.Key && !(hashed && key == "") {
			return fmt.Sprintf("the place has the key %q", key)
		}
		if !u.isKey(v.Key) {
			return "it is no key"
		}
		return ""
	})
	check(keys.NoKeys, "key", func(v vector) string {
		if u.isKey(v.Key) {
			return "it is a key"
		}
		return ""
	})
	return judged, wrong, nil
}

func differs(v vector, rule string) string {
	if v.Accept == (rule == "") && v.Rule == rule {
		return ""
	}
	if rule == "" {
		return "it breaks no rule"
	}
	return "it breaks " + rule
}

func read(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
