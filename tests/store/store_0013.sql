-- A store of the first release on SQLite, as it was made; a test opens it and compares it with the tables declared.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0013');
CREATE TABLE blob (
	id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	charged VARCHAR NOT NULL,
	key_id INTEGER NOT NULL,
	size_bytes INTEGER NOT NULL,
	begun_millis INTEGER NOT NULL,
	content BLOB NOT NULL,
	CONSTRAINT pk_blob PRIMARY KEY (id)
);
CREATE TABLE counter (
	name VARCHAR NOT NULL,
	value INTEGER NOT NULL,
	CONSTRAINT pk_counter PRIMARY KEY (name)
);
CREATE TABLE dead_body_key (
	key_id INTEGER NOT NULL,
	CONSTRAINT pk_dead_body_key PRIMARY KEY (key_id)
);
CREATE TABLE log_checkpoint (
	size INTEGER NOT NULL,
	root BLOB NOT NULL,
	time_millis INTEGER NOT NULL,
	CONSTRAINT pk_log_checkpoint PRIMARY KEY (size)
);
CREATE TABLE log_fork (
	origin VARCHAR NOT NULL,
	size INTEGER NOT NULL,
	first_note BLOB NOT NULL,
	second_note BLOB NOT NULL,
	time_millis INTEGER NOT NULL,
	CONSTRAINT pk_log_fork PRIMARY KEY (origin, size)
);
CREATE TABLE log_head (
	id INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	size INTEGER NOT NULL,
	root BLOB NOT NULL,
	edge BLOB NOT NULL,
	CONSTRAINT pk_log_head PRIMARY KEY (id)
);
INSERT INTO "log_head" VALUES(1,0,0,X'E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855',X'');
CREATE TABLE log_leaf (
	leaf_index INTEGER NOT NULL,
	kind VARCHAR NOT NULL,
	subject BLOB NOT NULL,
	entry BLOB NOT NULL,
	CONSTRAINT pk_log_leaf PRIMARY KEY (leaf_index),
	CONSTRAINT uq_log_leaf_subject_kind UNIQUE (subject, kind)
);
CREATE TABLE log_tile (
	level INTEGER NOT NULL,
	n INTEGER NOT NULL,
	root BLOB NOT NULL,
	hashes BLOB NOT NULL,
	CONSTRAINT pk_log_tile PRIMARY KEY (level, n)
);
CREATE TABLE message (
	direction VARCHAR NOT NULL,
	id VARCHAR NOT NULL,
	digest VARCHAR NOT NULL,
	pair VARCHAR NOT NULL,
	seq INTEGER NOT NULL,
	kind VARCHAR NOT NULL,
	verdict VARCHAR NOT NULL,
	leaf_index INTEGER NOT NULL,
	created_millis INTEGER NOT NULL,
	envelope BLOB NOT NULL,
	reply BLOB,
	CONSTRAINT pk_message PRIMARY KEY (direction, id),
	CONSTRAINT uq_message_direction_pair_seq UNIQUE (direction, pair, seq)
);
CREATE TABLE message_body (
	message_id VARCHAR NOT NULL,
	content BLOB NOT NULL, key_id INTEGER DEFAULT '0' NOT NULL,
	CONSTRAINT pk_message_body PRIMARY KEY (message_id)
);
CREATE TABLE outbox (
	message_id VARCHAR NOT NULL,
	peer VARCHAR NOT NULL,
	seq INTEGER NOT NULL,
	state VARCHAR NOT NULL,
	attempts INTEGER NOT NULL,
	expires_millis INTEGER NOT NULL,
	last_error VARCHAR,
	receipt_leaf BLOB,
	receipt_proof BLOB,
	CONSTRAINT pk_outbox PRIMARY KEY (message_id)
);
CREATE TABLE record (
	replica BOOLEAN NOT NULL,
	kind VARCHAR NOT NULL,
	id VARCHAR NOT NULL,
	owner VARCHAR NOT NULL,
	version INTEGER NOT NULL,
	status VARCHAR NOT NULL,
	division VARCHAR NOT NULL,
	household_division VARCHAR,
	due_date DATE,
	sealed BOOLEAN NOT NULL,
	subject_index BLOB,
	content BLOB NOT NULL, message_id VARCHAR, due_millis INTEGER, leaf_index INTEGER, digest BLOB,
	CONSTRAINT pk_record PRIMARY KEY (replica, kind, id)
);
CREATE TABLE record_version (
	kind VARCHAR NOT NULL,
	id VARCHAR NOT NULL,
	version INTEGER NOT NULL,
	status VARCHAR NOT NULL,
	division VARCHAR NOT NULL,
	household_division VARCHAR,
	due_date DATE,
	sealed BOOLEAN NOT NULL,
	owner VARCHAR NOT NULL,
	content BLOB NOT NULL, message_id VARCHAR, leaf_index INTEGER, digest BLOB,
	CONSTRAINT pk_record_version PRIMARY KEY (kind, id, version)
);
CREATE TABLE witness_head (
	origin VARCHAR NOT NULL,
	size INTEGER NOT NULL,
	root BLOB NOT NULL,
	time_millis INTEGER NOT NULL,
	note BLOB NOT NULL,
	CONSTRAINT pk_witness_head PRIMARY KEY (origin)
);
CREATE INDEX ix_message_leaf_index ON message (leaf_index);
CREATE INDEX ix_outbox_state_peer_seq ON outbox (state, peer, seq);
CREATE INDEX ix_record_kind_subject_index ON record (kind, subject_index);
CREATE INDEX ix_record_replica_kind_division_due_date ON record (replica, kind, division, due_date);
CREATE INDEX ix_record_message_id ON record (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX ix_record_version_message_id ON record_version (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX ix_record_kind_division_due_millis ON record (kind, division, due_millis) WHERE due_millis IS NOT NULL;
CREATE UNIQUE INDEX ix_message_body_key_id ON message_body (key_id);
CREATE UNIQUE INDEX ix_blob_key_id ON blob (key_id);
CREATE INDEX ix_blob_owner_begun_millis ON blob (owner, begun_millis);
COMMIT;
