package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// spelling is a text of the vectors: as it is, as bytes, or as pieces, each so many times.
type spelling struct {
	Text   string
	Hex    string
	Pieces [][2]any
}

func (spelled spelling) bytes() ([]byte, error) {
	if spelled.Hex != "" {
		return hex.DecodeString(spelled.Hex)
	}
	text := spelled.Text
	for _, piece := range spelled.Pieces {
		unit, isText := piece[0].(string)
		times, isNumber := piece[1].(float64)
		if !isText || !isNumber {
			return nil, errors.New("a piece is a text and a number")
		}
		text += strings.Repeat(unit, int(times))
	}
	return []byte(text), nil
}

// body is one vector: what is sent, and the rule that it breaks, or what is kept of it and the hash of its event.
type body struct {
	Name     string
	Body     spelling
	Rule     string
	Kept     spelling
	ThisHash string `json:"this_hash"`
}

// judgeEvents holds the reader of stored events to the published bodies.
func judgeEvents(file string) {
	var vectors struct {
		Place  object
		Bodies []body
	}
	load(file, &vectors)
	wrong := 0
	for _, each := range vectors.Bodies {
		if err := each.judge(vectors.Place); err != nil {
			wrong++
			fmt.Printf("%s: %v\n", each.Name, err)
		}
	}
	fmt.Printf("%d bodies, %d disagreements\n", len(vectors.Bodies), wrong)
	if wrong > 0 {
		os.Exit(1)
	}
}

// judge tells whether stored bytes with this body are read as an event with its hash; if it is refused, as none.
func (vector body) judge(place object) error {
	spelled := vector.Kept
	if vector.Rule != "" {
		spelled = vector.Body
	}
	text, err := spelled.bytes()
	if err != nil {
		return err
	}
	preimage := []byte(`{"body":` + string(text))
	for _, name := range []string{"event_id", "kind", "plan_id", "prev_hash", "seq", "ts"} {
		value, err := json.Marshal(place[name])
		if err != nil {
			return err
		}
		preimage = fmt.Appendf(preimage, `,"%s":%s`, name, value)
	}
	preimage = append(preimage, '}')
	event, err := parse(preimage)
	_, isObject := event["body"].(object)
	digest := blake3Derived("theory/v1/event", preimage)
	read := err == nil && isObject && len(text) <= maxBody
	switch {
	case vector.Rule != "" && read:
		return errors.New("it is read, and should not be")
	case vector.Rule == "" && !read:
		return fmt.Errorf("it is not read: %v", err)
	case vector.Rule == "" && hex.EncodeToString(digest[:]) != vector.ThisHash:
		return errors.New("it has another hash")
	}
	return nil
}

const maxBody = 64 << 10
