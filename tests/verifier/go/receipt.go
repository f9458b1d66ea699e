package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	mediaType   = "application/vnd.theory.receipt+json;version=1"
	payloadType = "application/vnd.in-toto+json"
	maxFile     = 64 << 20
)

type object = map[string]any

// verify returns what the receipt is called, where the file proves it to whoever believes the key.
func verify(data []byte, key logKey) (string, error) {
	if len(data) > maxFile || len(data) == 0 || data[len(data)-1] != '\n' {
		return "", errors.New("this is no receipt file")
	}
	file, err := parse(data[:len(data)-1])
	if err != nil || file["media_type"] != mediaType {
		return "", fmt.Errorf("this is no receipt file: %v", err)
	}
	receiptBytes, err := bytesOf(file, "receipt")
	if err != nil {
		return "", err
	}
	receipt, err := parse(receiptBytes)
	if err != nil || receipt["kind"] != "settle" {
		return "", fmt.Errorf("this is no settle receipt: %v", err)
	}
	digest := blake3Derived("theory/v1/receipt", receiptBytes)
	id := "b3:" + hex.EncodeToString(digest[:])
	if err := key.verifyEnvelope(file, receipt, id); err != nil {
		return "", err
	}
	return id, key.verifyEvent(file, receipt, id)
}

func (key logKey) verifyEnvelope(file, receipt object, id string) error {
	envelope, _ := file["envelope"].(object)
	payload, err := bytesOf(envelope, "payload")
	if err != nil {
		return err
	}
	expected, err := canonical(statement(receipt, id, key.name))
	if err != nil || envelope["payloadType"] != payloadType || !bytes.Equal(payload, expected) {
		return errors.New("the statement is not what the receipt says")
	}
	signed := fmt.Sprintf("DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
	signatures, _ := envelope["signatures"].([]any)
	ours := 0
	for _, each := range signatures {
		signature, _ := each.(object)
		if signature["keyid"] != hex.EncodeToString(key.id) {
			continue
		}
		raw, err := bytesOf(signature, "sig")
		if err != nil || len(raw) != ed25519.SignatureSize || !ed25519.Verify(key.public, []byte(signed), raw) {
			return errors.New("the signature of the statement is wrong")
		}
		ours++
	}
	if ours == 0 {
		return errors.New("the statement is not signed by this log")
	}
	return nil
}

func (key logKey) verifyEvent(file, receipt object, id string) error {
	eventBytes, err := bytesOf(file, "event")
	if err != nil {
		return err
	}
	event, err := parse(eventBytes)
	body, _ := event["body"].(object)
	kind, _ := event["kind"].(string)
	carries := kind == "budget.settled" || kind == "execution.settled" || kind == "execution.lost"
	if err != nil || !carries || body["receipt_id"] != id || event["plan_id"] != receipt["plan_id"] {
		return errors.New("the event does not carry this receipt")
	}
	log, _ := file["log"].(object)
	note, _ := log["checkpoint"].(string)
	state, err := key.open(note)
	if err != nil {
		return err
	}
	number, _ := log["index"].(json.Number)
	index, err := strconv.ParseInt(number.String(), 10, 64)
	if err != nil {
		return errors.New("the file does not say which leaf the event is")
	}
	hashes, _ := log["proof"].([]any)
	proof := make([][]byte, len(hashes))
	for at, each := range hashes {
		text, _ := each.(string)
		if proof[at], err = decode(text); err != nil {
			return err
		}
	}
	this := blake3Derived("theory/v1/event", eventBytes)
	return state.includes(leafHash(this[:]), index, proof)
}

// statement is the in-toto statement that a receipt makes: it follows from the receipt alone.
func statement(receipt object, id, log string) object {
	itself := object{"name": id, "digest": object{"theory-receipt": strings.TrimPrefix(id, "b3:")}}
	subjects := []any{}
	outputs, _ := receipt["output_cids"].([]any)
	for _, each := range outputs {
		output, _ := each.(object)
		subjects = append(subjects, named(output["path"], output["cid"]))
	}
	if len(subjects) == 0 {
		subjects = append(subjects, itself)
	}
	metadata := object{"invocationId": fmt.Sprintf("%v#%v", receipt["execution_id"], receipt["epoch"])}
	for theirs, ours := range map[string]string{"startedOn": "started_at", "finishedOn": "finished_at"} {
		if value, ok := receipt[ours]; ok {
			metadata[theirs] = value
		}
	}
	byproduct := object{
		"name":        itself["name"],
		"digest":      itself["digest"],
		"annotations": chosen(receipt, "outcome", "final", "attempt_idx", "epoch", "budget", "exit_code", "failure", "memo_of"),
	}
	return object{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       subjects,
		"predicateType": "https://slsa.dev/provenance/v1",
		"predicate": object{
			"buildDefinition": object{
				"buildType":            "https://theory.dev/receipt/v1",
				"externalParameters":   chosen(receipt, "plan_id", "processor", "snapshot_id", "world", "seed", "write_prefix", "inputs_cid"),
				"internalParameters":   chosen(receipt, "runtime", "env_fingerprint", "env_fingerprint_preimage", "memo_key", "secret_names"),
				"resolvedDependencies": dependencies(receipt),
			},
			"runDetails": object{
				"builder":    object{"id": "https://theory.dev/log/" + log},
				"metadata":   metadata,
				"byproducts": []any{byproduct},
			},
		},
	}
}

func dependencies(receipt object) []any {
	found := []any{}
	inputs, _ := receipt["input_cids"].([]any)
	for _, each := range inputs {
		input, _ := each.(object)
		_, isPath := input["path"].(string)
		_, isCid := input["cid"].(string)
		if isPath && isCid {
			found = append(found, named(input["path"], input["cid"]))
		}
	}
	if image, ok := receipt["image_digest"].(string); ok {
		algorithm, digest, _ := strings.Cut(image, ":")
		if algorithm == "b3" {
			algorithm = "blake3"
		}
		found = append(found, object{"name": "image", "digest": object{algorithm: digest}})
	}
	return found
}

func named(path, cid any) object {
	text, _ := cid.(string)
	return object{"name": path, "digest": object{"blake3": strings.TrimPrefix(text, "b3:")}}
}

func chosen(receipt object, fields ...string) object {
	found := object{}
	for _, field := range fields {
		if value, ok := receipt[field]; ok {
			found[field] = value
		}
	}
	return found
}

func bytesOf(from object, field string) ([]byte, error) {
	text, ok := from[field].(string)
	if !ok {
		return nil, fmt.Errorf("the file has no %s", field)
	}
	return decode(text)
}
