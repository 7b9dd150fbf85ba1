// A client of trustless gateways that is none of Cairn's: boxo's, which believes no block that does not hash to
// its CID. It fetches a DAG block by block, or as a CAR that it walks in its order, or the bytes of a file, and
// prints what it got as JSON.
//
//	gateway-client blocks URL CID
//	gateway-client car URL PATH SCOPE [FROM:TO]
//	gateway-client get URL PATH [FROM-TO]
//
// The token is taken from GATEWAY_TOKEN.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/ipfs/boxo/gateway"
	"github.com/ipfs/boxo/path"
	"github.com/ipfs/go-cid"
	"github.com/ipld/go-car/v2"
)

const deadline = 2 * time.Minute

// What a fetch brought. The hash is that of the bytes of a file.
type result struct {
	Blocks int      `json:"blocks"`
	Bytes  int      `json:"bytes"`
	Roots  []string `json:"roots,omitempty"`
	Cids   []string `json:"cids,omitempty"`
	Sha256 string   `json:"sha256,omitempty"`
}

func main() {
	found, err := run(os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(found)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) (*result, error) {
	if len(args) < 3 {
		return nil, errors.New("gateway-client blocks|car|get URL PATH ...")
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	urls, client := []string{args[1]}, &http.Client{Transport: withToken{os.Getenv("GATEWAY_TOKEN")}}
	if args[0] == "blocks" {
		root, err := cid.Decode(args[2])
		if err != nil {
			return nil, err
		}
		return fetchBlocks(ctx, urls, client, root)
	}
	backend, err := gateway.NewRemoteCarBackend(urls, client)
	if err != nil {
		return nil, err
	}
	p, err := immutable("/ipfs/" + args[2])
	if err != nil {
		return nil, err
	}
	if args[0] == "car" && len(args) > 3 {
		return fetchCar(ctx, backend, p, gateway.DagScope(args[3]), args[4:])
	}
	return fetchFile(ctx, backend, p, args[3:])
}

type withToken struct{ token string }

func (t withToken) RoundTrip(request *http.Request) (*http.Response, error) {
	if t.token != "" {
		request = request.Clone(request.Context())
		request.Header.Set("Authorization", "Bearer "+t.token)
	}
	return http.DefaultTransport.RoundTrip(request)
}

func immutable(text string) (path.ImmutablePath, error) {
	p, err := path.NewPath(text)
	if err != nil {
		return path.ImmutablePath{}, err
	}
	return path.NewImmutablePath(p)
}

func fetchCar(ctx context.Context, backend *gateway.CarBackend, p path.ImmutablePath, scope gateway.DagScope, part []string) (*result, error) {
	params := gateway.CarParams{Scope: scope, Order: gateway.DagOrderDFS}
	if len(part) > 0 {
		bytes, err := gateway.NewDagByteRange(part[0])
		if err != nil {
			return nil, err
		}
		params.Range = &bytes
	}
	_, stream, err := backend.GetCAR(ctx, p, params)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	reader, err := car.NewBlockReader(stream)
	if err != nil {
		return nil, err
	}
	found := &result{}
	for _, root := range reader.Roots {
		found.Roots = append(found.Roots, root.String())
	}
	for {
		block, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		found.Blocks++
		found.Bytes += len(block.RawData())
		found.Cids = append(found.Cids, block.Cid().String())
	}
}

// The bytes of a file as boxo's own gateway gives them to a browser, when all that it knows of them comes from ours.
func fetchFile(ctx context.Context, backend *gateway.CarBackend, p path.ImmutablePath, part []string) (*result, error) {
	handler := gateway.NewHandler(gateway.Config{DeserializedResponses: true}, backend)
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, p.String(), nil)
	status := http.StatusOK
	if len(part) > 0 {
		request.Header.Set("Range", "bytes="+part[0])
		status = http.StatusPartialContent
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	if answer.Code != status {
		return nil, fmt.Errorf("%d: %s", answer.Code, answer.Body)
	}
	hash := sha256.Sum256(answer.Body.Bytes())
	return &result{Bytes: answer.Body.Len(), Sha256: hex.EncodeToString(hash[:])}, nil
}
