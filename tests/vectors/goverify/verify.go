// Verify checks what a node publishes with golang.org/x/mod (sumdb/note, sumdb/tlog) and nothing of this project.
//
//	verify proof <vkeys-file> <proof-file> <leaf-file> <quorum>   a .tlog-proof with cosignatures
//	verify log <log-vkey> <dir>                                   a log in the tlog-tiles layout, from all its entries
package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A cosigner is a C2SP tlog-cosignature key (type 0x04), which the note package does not know.
type cosigner struct {
	name string
	id   uint32
	pub  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.id }
func (c cosigner) Verify(text, sig []byte) bool {
	if len(sig) != 72 {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(sig))
	return ed25519.Verify(c.pub, append([]byte(head), text...), sig[8:])
}

func main() {
	switch {
	case len(os.Args) == 6 && os.Args[1] == "proof":
		verifyProof(os.Args[2], os.Args[3], os.Args[4], os.Args[5])
	case len(os.Args) == 4 && os.Args[1] == "log":
		verifyLog(os.Args[2], os.Args[3])
	default:
		fail("usage: verify proof <vkeys> <proof> <leaf> <quorum> | verify log <vkey> <dir>")
	}
}

func verifyProof(vkeysPath, proofPath, leafPath, quorum string) {
	var known []note.Verifier
	keys := map[string]string{} // name and id to public key, cosigners only
	for _, line := range strings.Fields(string(read(vkeysPath))) {
		verifier := parseVkey(line)
		if c, ok := verifier.(cosigner); ok {
			keys[fmt.Sprintf("%s+%08x", c.name, c.id)] = string(c.pub)
		}
		known = append(known, verifier)
	}
	head, signed, ok := bytes.Cut(read(proofPath), []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || lines[0] != "c2sp.org/tlog-proof@v1" || len(lines) < 2 {
		fail("not a tlog-proof")
	}
	lines = lines[1:]
	if strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	check(err)
	var proof tlog.RecordProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		check(err)
		proof = append(proof, hash)
	}
	origin, size, root, sigs := open(signed, note.VerifierList(known...))
	cosigned, logged := map[string]bool{}, false
	for _, sig := range sigs {
		if key, ok := keys[fmt.Sprintf("%s+%08x", sig.Name, sig.Hash)]; ok {
			cosigned[key] = true
		} else {
			logged = logged || sig.Name == origin
		}
	}
	want, err := strconv.Atoi(quorum)
	check(err)
	if !logged || len(cosigned) < want {
		fail("log signed: %v, cosigners: %d, wanted: %d", logged, len(cosigned), want)
	}
	check(tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(read(leafPath))))
	fmt.Printf("OK index %d size %d cosigners %d\n", index, size, len(cosigned))
}

func verifyLog(vkey, dir string) {
	verifier, err := note.NewVerifier(vkey)
	check(err)
	origin, size, root, _ := open(read(filepath.Join(dir, "checkpoint")), note.VerifierList(verifier))
	if origin != verifier.Name() {
		fail("the checkpoint is about %q", origin)
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, _ error) {
		for _, at := range indexes {
			out = append(out, stored[at])
		}
		return out, nil
	})
	for n := int64(0); n < size; {
		bundle := readBundle(dir, n/256, size-n)
		for i := 0; i < 256 && n < size; i, n = i+1, n+1 {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				fail("entry %d is cut short", n)
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			hashes, err := tlog.StoredHashes(n, bundle[2:end], reader)
			check(err)
			stored, bundle = append(stored, hashes...), bundle[end:]
		}
	}
	computed, err := tlog.TreeHash(size, reader)
	check(err)
	if size > 0 && computed != root {
		fail("root of the entries is %v, of the checkpoint %v", computed, root)
	}
	fmt.Printf("%d OK\n", size)
}

// open verifies a signed checkpoint and takes its three lines apart.
func open(signed []byte, known note.Verifiers) (string, int64, tlog.Hash, []note.Signature) {
	n, err := note.Open(signed, known)
	check(err)
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 {
		fail("a checkpoint of %d lines", len(lines)-1)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return lines[0], size, root, n.Sigs
}

func parseVkey(text string) note.Verifier {
	if verifier, err := note.NewVerifier(text); err == nil {
		return verifier
	}
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 {
		fail("not a vkey: %s", text)
	}
	id, err := strconv.ParseUint(parts[1], 16, 32)
	check(err)
	key, err := base64.StdEncoding.DecodeString(parts[2])
	check(err)
	if len(key) != 33 || key[0] != 0x04 {
		fail("not a vkey of type 1 or 4: %s", text)
	}
	return cosigner{parts[0], uint32(id), key[1:]}
}

// readBundle reads an entry bundle, partial or full; the full one may have replaced the partial one.
func readBundle(dir string, index, rest int64) []byte {
	path := fmt.Sprintf("%03d", index%1000)
	for index /= 1000; index > 0; index /= 1000 {
		path = fmt.Sprintf("x%03d/%s", index%1000, path)
	}
	path = filepath.Join(dir, "tile/entries", path)
	if rest < 256 {
		if bundle, err := os.ReadFile(fmt.Sprintf("%s.p/%d", path, rest)); err == nil {
			return bundle
		}
	}
	return read(path)
}

func read(path string) []byte {
	blob, err := os.ReadFile(path)
	check(err)
	return blob
}

func check(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "FAILED "+format+"\n", args...)
	os.Exit(1)
}
