package main

import (
	"bytes"
	"context"
	"net/http"

	"github.com/ipfs/boxo/gateway"
	"github.com/ipfs/go-cid"
	dagpb "github.com/ipld/go-codec-dagpb"
	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/codec/dagjson"
	"github.com/ipld/go-ipld-prime/datamodel"
	cidlink "github.com/ipld/go-ipld-prime/linking/cid"
	"github.com/ipld/go-ipld-prime/node/basicnode"
	"github.com/ipld/go-ipld-prime/traversal"
)

// All blocks under a CID, each once and by a request of its own.
func fetchBlocks(ctx context.Context, urls []string, client *http.Client, root cid.Cid) (*result, error) {
	store, err := gateway.NewRemoteBlockstore(urls, client)
	if err != nil {
		return nil, err
	}
	found, seen, ahead := &result{}, cid.NewSet(), []cid.Cid{root}
	for len(ahead) > 0 {
		next := ahead[len(ahead)-1]
		ahead = ahead[:len(ahead)-1]
		if !seen.Visit(next) {
			continue
		}
		block, err := store.Get(ctx, next)
		if err != nil {
			return nil, err
		}
		found.Blocks++
		found.Bytes += len(block.RawData())
		links, err := linksOf(next, block.RawData())
		if err != nil {
			return nil, err
		}
		ahead = append(ahead, links...)
	}
	return found, nil
}

func linksOf(c cid.Cid, data []byte) ([]cid.Cid, error) {
	node, err := nodeOf(c, data)
	if node == nil || err != nil {
		return nil, err
	}
	links, err := traversal.SelectLinks(node)
	var cids []cid.Cid
	for _, link := range links {
		cids = append(cids, link.(cidlink.Link).Cid)
	}
	return cids, err
}

func nodeOf(c cid.Cid, data []byte) (datamodel.Node, error) {
	var prototype datamodel.NodePrototype = basicnode.Prototype.Any
	decode := dagcbor.Decode
	switch c.Prefix().Codec {
	case cid.Raw:
		return nil, nil
	case cid.DagProtobuf:
		prototype, decode = dagpb.Type.PBNode, dagpb.Decode
	case cid.DagJSON:
		decode = dagjson.Decode
	}
	builder := prototype.NewBuilder()
	err := decode(builder, bytes.NewReader(data))
	return builder.Build(), err
}
