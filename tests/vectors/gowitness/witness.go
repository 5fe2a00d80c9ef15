// A C2SP tlog-witness that shares no line with this project: golang.org/x/mod's notes and tree proofs, one file.
//
//	witness <name> <seed, hex> <time, unix seconds> <vkey of a log>...
//
// It prints the port it listens on. State is in memory and its clock stands: it is a witness for the length of a test.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type head struct {
	size   int64
	root   tlog.Hash
	signed string // text, empty line, the log's line, our line
}

type witness struct {
	name  string
	key   ed25519.PrivateKey
	now   uint64
	logs  map[string]note.Verifier
	lock  sync.Mutex
	heads map[string]head
}

// cosign returns the line of type 0x04 over a checkpoint's text.
func (w *witness) cosign(text string) string {
	now := w.now
	public := w.key.Public().(ed25519.PublicKey)
	id := sha256.Sum256(append([]byte(w.name+"\n\x04"), public...))
	payload := make([]byte, 12, 76)
	copy(payload, id[:4])
	binary.BigEndian.PutUint64(payload[4:], now)
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", now, text)
	payload = append(payload, ed25519.Sign(w.key, []byte(message))...)
	return "\u2014 " + w.name + " " + base64.StdEncoding.EncodeToString(payload) + "\n"
}

func parseHash(line string) (hash tlog.Hash, err error) {
	raw, err := base64.StdEncoding.DecodeString(line)
	if err != nil || len(raw) != len(hash) {
		return hash, fmt.Errorf("a hash was expected")
	}
	copy(hash[:], raw)
	return hash, nil
}

// add decides on one request and returns status and body.
func (w *witness) add(body string) (int, string) {
	request, checkpoint, found := strings.Cut(body, "\n\n")
	lines := strings.Split(request, "\n")
	if !found || !strings.HasPrefix(lines[0], "old ") || len(lines) > 64 {
		return 400, "malformed\n"
	}
	old, err := strconv.ParseInt(lines[0][4:], 10, 64)
	if err != nil {
		return 400, "malformed\n"
	}
	var proof tlog.TreeProof
	for _, line := range lines[1:] {
		hash, err := parseHash(line)
		if err != nil {
			return 400, "malformed\n"
		}
		proof = append(proof, hash)
	}
	origin, _, _ := strings.Cut(checkpoint, "\n")
	log, known := w.logs[origin]
	if !known {
		return 404, "unknown log\n"
	}
	opened, err := note.Open([]byte(checkpoint), note.VerifierList(log))
	if err != nil {
		return 403, "not signed by the log\n"
	}
	fields := strings.Split(opened.Text, "\n")
	if len(fields) != 4 || fields[0] != origin {
		return 400, "malformed\n"
	}
	size, err := strconv.ParseInt(fields[1], 10, 64)
	root, err2 := parseHash(fields[2])
	if err != nil || err2 != nil || old > size {
		return 400, "malformed\n"
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	last := w.heads[origin]
	switch {
	case old != last.size:
		return 409, fmt.Sprintf("%d\n", last.size)
	case old == 0 && len(proof) > 0, old == size && old > 0 && root != last.root:
		return 422, "another history\n"
	case old > 0 && old < size && tlog.CheckTree(proof, size, root, old, last.root) != nil:
		return 422, "no proof\n"
	}
	line := w.cosign(opened.Text)
	own := opened.Sigs[0]
	signed := opened.Text + "\n\u2014 " + own.Name + " " + own.Base64 + "\n" + line
	w.heads[origin] = head{size, root, signed}
	return 200, line
}

func (w *witness) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	if in.Method == "POST" && in.URL.Path == "/add-checkpoint" {
		body, err := io.ReadAll(io.LimitReader(in.Body, 1<<17))
		if err != nil {
			return
		}
		status, answer := w.add(string(body))
		if status == 409 {
			out.Header().Set("Content-Type", "text/x.tlog.size")
		}
		out.WriteHeader(status)
		io.WriteString(out, answer)
		return
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	for origin, known := range w.heads {
		hash := sha256.Sum256([]byte(origin))
		if in.URL.Path == "/"+hex.EncodeToString(hash[:])+"/checkpoint" {
			io.WriteString(out, known.signed)
			return
		}
	}
	http.NotFound(out, in)
}

func main() {
	seed, err := hex.DecodeString(os.Args[2])
	if err != nil {
		panic(err)
	}
	now, err := strconv.ParseUint(os.Args[3], 10, 63)
	if err != nil {
		panic(err)
	}
	w := &witness{
		name: os.Args[1], key: ed25519.NewKeyFromSeed(seed), now: now,
		logs: map[string]note.Verifier{}, heads: map[string]head{},
	}
	for _, vkey := range os.Args[4:] {
		verifier, err := note.NewVerifier(vkey)
		if err != nil {
			panic(err)
		}
		w.logs[verifier.Name()] = verifier
	}
	listening, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listening.Addr().(*net.TCPAddr).Port)
	panic(http.Serve(listening, w))
}
