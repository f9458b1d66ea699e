// A processor in Go that uses what its attempt may, over the socket, with stubs that buf generated: nothing of ours is
// in it but the protos.
package main

import (
	"context"
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	world "theory/caller/gen/theory/api/artifacts/v1"
	scratch "theory/caller/gen/theory/api/resources/v1"
)

const path = "/artifacts/outputs/step/told.json"

// attempt is what run/attempt.json says.
type attempt struct {
	PlanID      string `json:"plan_id"`
	World       string `json:"world"`
	ExecutionID string `json:"execution_id"`
	Epoch       int64  `json:"epoch"`
}

func main() {
	work := os.Getenv("THEORY_WORK_DIR")
	var me attempt
	must(json.Unmarshal(have(os.ReadFile(filepath.Join(work, "run", "attempt.json"))), &me))
	connection := have(grpc.NewClient(os.Getenv("THEORY_URL"), grpc.WithTransportCredentials(insecure.NewCredentials())))
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	told := have(json.Marshal(map[string]any{"used": use(ctx, connection, me), "refused": attack(ctx, connection, me)}))
	artifacts := world.NewArtifactsServiceClient(connection)
	put := have(artifacts.PutBlobs(ctx, &world.PutBlobsRequest{Items: []*world.PutBlobsRequest_Item{{Data: told}}}))
	prepared := have(artifacts.PrepareBindings(ctx, &world.PrepareBindingsRequest{Items: []*world.PrepareBindingsRequest_Item{{
		World: me.World, PlanId: me.PlanID, ExecutionId: me.ExecutionID, Epoch: me.Epoch,
		Outputs: []*world.Output{{
			WorldPath: path, Cid: put.Results[0].Cid, SizeBytes: int64(len(told)), ContentType: "application/json",
		}},
	}}}))
	if code := prepared.Statuses[0].Code; code != 0 {
		log.Fatalf("not prepared: %v", prepared.Statuses[0])
	}
	file := filepath.Join(work, "out", path)
	must(os.MkdirAll(filepath.Dir(file), 0o755))
	must(os.WriteFile(file, told, 0o644))
	result := have(json.Marshal(map[string]any{"outputs": map[string]string{"told": path}}))
	must(os.WriteFile(filepath.Join(work, "out", "result.json"), result, 0o644))
}

// use asks for what is the attempt's own: inputs, streams, keys, topics.
func use(ctx context.Context, connection *grpc.ClientConn, me attempt) map[string]string {
	artifacts, streams := world.NewArtifactsServiceClient(connection), world.NewStreamsServiceClient(connection)
	kv, queue := scratch.NewKVServiceClient(connection), scratch.NewQueueServiceClient(connection)

	listed := have(artifacts.ListArtifacts(ctx, &world.ListArtifactsRequest{World: me.World}))
	blobs := have(artifacts.GetBlobs(ctx, &world.GetBlobsRequest{Cids: []string{listed.Artifacts[0].Cid}}))
	const series = "/streams/seen"
	have(streams.AppendChunks(ctx, &world.AppendChunksRequest{
		World: me.World, Series: series, Chunks: [][]byte{[]byte("frame")},
	}))
	read := have(streams.ReadChunks(ctx, &world.ReadChunksRequest{World: me.World, Series: series}))
	have(kv.Put(ctx, &scratch.PutRequest{
		PlanId: me.PlanID, Items: []*scratch.PutRequest_Item{{Key: "k", Value: []byte("v")}},
	}))
	value := have(kv.Get(ctx, &scratch.GetRequest{PlanId: me.PlanID, Keys: []string{"k"}}))
	have(queue.Publish(ctx, &scratch.PublishRequest{
		PlanId: me.PlanID, Topic: "jobs", Items: []*scratch.PublishRequest_Item{{Body: []byte("job")}},
	}))
	got := have(queue.Consume(ctx, &scratch.ConsumeRequest{PlanId: me.PlanID, Topic: "jobs", MaxMessages: 1}))
	have(queue.Ack(ctx, &scratch.AckRequest{
		PlanId: me.PlanID, Topic: "jobs", ReceiptHandles: []string{got.Messages[0].ReceiptHandle},
	}))
	return map[string]string{
		"path":  listed.Artifacts[0].WorldPath,
		"input": string(blobs.Results[0].Data),
		"chunk": string(read.Chunks[0].Data),
		"value": string(value.Results[0].Value),
		"job":   string(got.Messages[0].Body),
	}
}

// attack asks for what is not, and tells the code of each refusal.
func attack(ctx context.Context, connection *grpc.ClientConn, me attempt) map[string]string {
	other := me.PlanID + "x"
	_, keys := scratch.NewKVServiceClient(connection).Get(ctx, &scratch.GetRequest{PlanId: other, Keys: []string{"k"}})
	_, topic := scratch.NewQueueServiceClient(connection).Consume(ctx, &scratch.ConsumeRequest{
		PlanId: me.PlanID, Topic: "other", MaxMessages: 1,
	})
	_, commit := world.NewArtifactsServiceClient(connection).CommitBindings(ctx, &world.CommitBindingsRequest{})
	_, secret := scratch.NewSecretServiceClient(connection).Resolve(ctx, &scratch.SecretServiceResolveRequest{Names: []string{"A"}})
	refused := map[string]string{}
	for name, err := range map[string]error{"keys": keys, "topic": topic, "commit": commit, "secret": secret} {
		refused[name] = status.Code(err).String()
		if status.Code(err) == codes.OK {
			refused[name] = "done"
		}
	}
	return refused
}

func have[T any](value T, err error) T {
	must(err)
	return value
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
