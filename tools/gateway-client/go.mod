module cairn.test/gateway-client

go 1.26.5

require github.com/ipfs/boxo v0.42.1

require github.com/ipfs/bbloom v0.1.0 // indirect

require github.com/ipfs/go-bitfield v1.1.0 // indirect

require github.com/ipfs/go-block-format v0.2.4 // indirect

require github.com/ipfs/go-cid v0.6.2

require github.com/ipfs/go-cidutil v0.1.2 // indirect

require github.com/ipfs/go-datastore v0.9.2 // indirect

require github.com/ipfs/go-ds-leveldb v0.5.3 // indirect

require github.com/ipfs/go-dsqueue v0.2.0 // indirect

require github.com/ipfs/go-ipfs-redirects-file v0.1.2 // indirect

require github.com/ipfs/go-ipld-cbor v0.3.0 // indirect

require github.com/ipfs/go-ipld-format v0.6.4 // indirect

require github.com/ipfs/go-ipld-legacy v0.3.0 // indirect

require github.com/ipfs/go-log/v2 v2.9.2 // indirect

require github.com/ipfs/go-metrics-interface v0.3.0 // indirect

require github.com/ipfs/go-unixfsnode v1.10.6 // indirect

require github.com/ipld/go-car/v2 v2.17.0

require github.com/ipld/go-codec-dagpb v1.7.0

require github.com/ipld/go-ipld-prime v0.24.0

require github.com/libp2p/go-buffer-pool v0.1.0 // indirect

require github.com/libp2p/go-cidranger v1.1.0 // indirect

require github.com/libp2p/go-doh-resolver v0.6.0 // indirect

require github.com/libp2p/go-libp2p v0.49.0 // indirect

require github.com/libp2p/go-libp2p-asn-util v0.4.1 // indirect

require github.com/libp2p/go-libp2p-kad-dht v0.42.1 // indirect

require github.com/libp2p/go-libp2p-kbucket v0.9.0 // indirect

require github.com/libp2p/go-libp2p-record v0.3.1 // indirect

require github.com/libp2p/go-libp2p-routing-helpers v0.7.5 // indirect

require github.com/libp2p/go-msgio v0.3.0 // indirect

require github.com/libp2p/go-netroute v0.4.0 // indirect

require github.com/multiformats/go-base32 v0.1.0 // indirect

require github.com/multiformats/go-base36 v0.2.0 // indirect

require github.com/multiformats/go-multiaddr v0.16.1 // indirect

require github.com/multiformats/go-multiaddr-dns v0.6.0 // indirect

require github.com/multiformats/go-multibase v0.3.0 // indirect

require github.com/multiformats/go-multicodec v0.10.0 // indirect

require github.com/multiformats/go-multihash v0.2.3 // indirect

require github.com/multiformats/go-multistream v0.6.1 // indirect

require github.com/multiformats/go-varint v0.1.0 // indirect

require (
	github.com/Jorropo/jsync v1.0.1 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/crackcomm/go-gitignore v0.0.0-20241020182519-7843d2ba8fdf // indirect
	github.com/davecgh/go-spew v1.1.2-0.20180830191138-d8f796af33cc // indirect
	github.com/decred/dcrd/dcrec/secp256k1/v4 v4.4.1 // indirect
	github.com/dustin/go-humanize v1.0.1 // indirect
	github.com/felixge/httpsnoop v1.0.4 // indirect
	github.com/gabriel-vasile/mimetype v1.4.13 // indirect
	github.com/gammazero/chanqueue v1.1.2 // indirect
	github.com/gammazero/deque v1.2.1 // indirect
	github.com/go-logr/logr v1.4.3 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/google/gopacket v1.1.19 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/gorilla/websocket v1.5.4-0.20250319132907-e064f32e3674 // indirect
	github.com/hashicorp/golang-lru v1.0.2 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	github.com/klauspost/cpuid/v2 v2.4.0 // indirect
	github.com/mattn/go-isatty v0.0.22 // indirect
	github.com/miekg/dns v1.1.72 // indirect
	github.com/minio/sha256-simd v1.0.1 // indirect
	github.com/mr-tron/base58 v1.3.0 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/petar/GoLLRB v0.0.0-20210522233825-ae3b015fd3e9 // indirect
	github.com/pion/dtls/v3 v3.1.5 // indirect
	github.com/pmezard/go-difflib v1.0.1-0.20181226105442-5d4384ee4fb2 // indirect
	github.com/polydawn/refmt v0.90.0 // indirect
	github.com/prometheus/client_golang v1.24.1 // indirect
	github.com/prometheus/client_model v0.6.2 // indirect
	github.com/prometheus/common v0.70.1 // indirect
	github.com/prometheus/procfs v0.21.1 // indirect
	github.com/spaolacci/murmur3 v1.1.0 // indirect
	github.com/syndtr/goleveldb v1.0.1-0.20220721030215-126854af5e6d // indirect
	github.com/ucarion/urlpath v0.0.0-20200424170820-7ccc79b76bbb // indirect
	github.com/whyrusleeping/cbor v0.0.0-20171005072247-63513f603b11 // indirect
	github.com/whyrusleeping/cbor-gen v0.3.1 // indirect
	github.com/whyrusleeping/chunker v0.0.0-20181014151217-fe64bd25879f // indirect
	github.com/whyrusleeping/go-keyspace v0.0.0-20160322163242-5b898ac5add1 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp v0.69.0 // indirect
	go.opentelemetry.io/otel v1.44.0 // indirect
	go.opentelemetry.io/otel/metric v1.44.0 // indirect
	go.opentelemetry.io/otel/trace v1.44.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	go.uber.org/zap v1.28.0 // indirect
	golang.org/x/crypto v0.54.0 // indirect
	golang.org/x/exp v0.0.0-20260718201538-764159d718ef // indirect
	golang.org/x/mod v0.38.0 // indirect
	golang.org/x/net v0.57.0 // indirect
	golang.org/x/sync v0.22.0 // indirect
	golang.org/x/sys v0.47.0 // indirect
	golang.org/x/tools v0.48.0 // indirect
	golang.org/x/xerrors v0.0.0-20240903120638-7835f813f4da // indirect
	gonum.org/v1/gonum v0.17.0 // indirect
	google.golang.org/protobuf v1.36.11 // indirect
	lukechampine.com/blake3 v1.4.1 // indirect
)
