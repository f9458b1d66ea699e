// A gRPC service in Go that gives back what it was sent: the yardstick of docs/benchmarks.md, since what a call costs
// on one machine says nothing on another.
package main

import (
	"context"
	"log"
	"net"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Echo is what generated code would ask a service to be.
type Echo interface {
	Echo(context.Context, *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error)
}

type echo struct{}

func (echo) Echo(_ context.Context, sent *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error) {
	return sent, nil
}

func handle(server any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	sent := new(wrapperspb.BytesValue)
	if err := decode(sent); err != nil {
		return nil, err
	}
	return server.(Echo).Echo(ctx, sent)
}

func main() {
	// The socket's path is the only argument.
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "bench.Echo",
		HandlerType: (*Echo)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Echo", Handler: handle}},
	}, echo{})
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}
