-- The tables of 0.1.0 as it made them on SQLite.
CREATE TABLE context_block (
	org_id VARCHAR(36) NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	visit_id VARCHAR(36) NOT NULL,
	served_ms BIGINT NOT NULL,
	body TEXT NOT NULL,
	size INTEGER NOT NULL,
	CONSTRAINT pk_context_block PRIMARY KEY (org_id, sha256)
);
CREATE TABLE journal (
	org_id VARCHAR(36) NOT NULL,
	id VARCHAR(36) NOT NULL,
	hash VARCHAR(64) NOT NULL,
	visit_id VARCHAR(36) NOT NULL,
	device_id VARCHAR(36) NOT NULL,
	author_id VARCHAR(36) NOT NULL,
	kind VARCHAR(40) NOT NULL,
	n BIGINT NOT NULL,
	wall_ms BIGINT NOT NULL,
	corrected_ms BIGINT NOT NULL,
	received_ms BIGINT NOT NULL,
	rev BIGINT NOT NULL,
	outcome VARCHAR(10) NOT NULL,
	problems TEXT NOT NULL,
	body TEXT NOT NULL,
	CONSTRAINT pk_journal PRIMARY KEY (org_id, id, hash)
);
CREATE INDEX journal_of_visit ON journal (org_id, visit_id);
CREATE TABLE organisation (
	id VARCHAR(36) NOT NULL,
	name VARCHAR(200) NOT NULL,
	phone VARCHAR(40) NOT NULL,
	zone VARCHAR(64) NOT NULL,
	currency VARCHAR(3) NOT NULL,
	policy VARCHAR(40) NOT NULL,
	epoch VARCHAR(36) NOT NULL,
	CONSTRAINT pk_organisation PRIMARY KEY (id)
);
CREATE TABLE sync_clock (
	org_id VARCHAR(36) NOT NULL,
	rev BIGINT NOT NULL,
	CONSTRAINT pk_sync_clock PRIMARY KEY (org_id)
);
CREATE TABLE visit_scope (
	org_id VARCHAR(36) NOT NULL,
	person_id VARCHAR(36) NOT NULL,
	visit_id VARCHAR(36) NOT NULL,
	rev BIGINT NOT NULL,
	active BOOLEAN NOT NULL,
	reason VARCHAR(40) NOT NULL,
	CONSTRAINT pk_visit_scope PRIMARY KEY (org_id, person_id, visit_id)
);
CREATE INDEX scope_by_rev ON visit_scope (org_id, person_id, rev);
CREATE TABLE asset (
	id VARCHAR(36) NOT NULL,
	org_id VARCHAR(36) NOT NULL,
	serial VARCHAR(64) NOT NULL,
	model VARCHAR(100) NOT NULL,
	name VARCHAR(200) NOT NULL,
	part_code VARCHAR(40) NOT NULL,
	holder VARCHAR(10) NOT NULL,
	holder_id VARCHAR(36),
	commissioned_on DATE,
	warranty_months INTEGER,
	CONSTRAINT pk_asset PRIMARY KEY (id),
	CONSTRAINT uq_asset_org_id UNIQUE (org_id, serial),
	CONSTRAINT fk_asset_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id)
);
CREATE INDEX ix_asset_holder_id ON asset (holder_id);
CREATE TABLE blob (
	org_id VARCHAR(36) NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	received INTEGER NOT NULL,
	size INTEGER NOT NULL,
	complete_at DATETIME,
	problem VARCHAR(60) NOT NULL,
	CONSTRAINT pk_blob PRIMARY KEY (org_id, sha256),
	CONSTRAINT fk_blob_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id)
);
CREATE TABLE blob_reference (
	operation_id VARCHAR(36) NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	org_id VARCHAR(36) NOT NULL,
	visit_id VARCHAR(36) NOT NULL,
	CONSTRAINT pk_blob_reference PRIMARY KEY (operation_id, sha256),
	CONSTRAINT fk_blob_reference_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id)
);
CREATE INDEX ix_blob_reference_visit_id ON blob_reference (visit_id);
CREATE TABLE customer (
	id VARCHAR(36) NOT NULL,
	org_id VARCHAR(36) NOT NULL,
	code VARCHAR(40) NOT NULL,
	name VARCHAR(200) NOT NULL,
	CONSTRAINT pk_customer PRIMARY KEY (id),
	CONSTRAINT uq_customer_org_id UNIQUE (org_id, code),
	CONSTRAINT fk_customer_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id)
);
CREATE TABLE notice (
	org_id VARCHAR(36) NOT NULL,
	operation_id VARCHAR(36) NOT NULL,
	issued_on DATE NOT NULL,
	count INTEGER NOT NULL,
	number VARCHAR(40) NOT NULL,
	CONSTRAINT pk_notice PRIMARY KEY (org_id, operation_id),
	CONSTRAINT uq_notice_org_id UNIQUE (org_id, issued_on, count),
	CONSTRAINT fk_notice_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id)
);
CREATE TABLE part (
	id VARCHAR(36) NOT NULL,
	org_id VARCHAR(36) NOT NULL,
	code VARCHAR(40) NOT NULL,
	name VARCHAR(200) NOT NULL,
	CONSTRAINT pk_part PRIMARY KEY (id),
	CONSTRAINT uq_part_org_id UNIQUE (org_id, code),
	CONSTRAINT fk_part_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id)
);
CREATE TABLE person (
	id VARCHAR(36) NOT NULL,
	org_id VARCHAR(36) NOT NULL,
	account VARCHAR(60) NOT NULL,
	name VARCHAR(100) NOT NULL,
	phone VARCHAR(40) NOT NULL,
	language VARCHAR(5) NOT NULL,
	password_hash VARCHAR(200) NOT NULL,
	roles_text VARCHAR(100) NOT NULL,
	left_at DATETIME,
	CONSTRAINT pk_person PRIMARY KEY (id),
	CONSTRAINT uq_person_account UNIQUE (account),
	CONSTRAINT fk_person_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id)
);
CREATE INDEX ix_person_org_id ON person (org_id);
CREATE TABLE report (
	id VARCHAR(36) NOT NULL,
	org_id VARCHAR(36) NOT NULL,
	visit_id VARCHAR(36) NOT NULL,
	token VARCHAR(32) NOT NULL,
	revision INTEGER NOT NULL,
	content_sha256 VARCHAR(64) NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	sealed_at DATETIME NOT NULL,
	verdict VARCHAR(10) NOT NULL,
	CONSTRAINT pk_report PRIMARY KEY (id),
	CONSTRAINT uq_report_token UNIQUE (token, revision),
	CONSTRAINT fk_report_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id)
);
CREATE INDEX ix_report_sha256 ON report (sha256);
CREATE INDEX ix_report_visit_id ON report (visit_id);
CREATE TABLE device (
	id VARCHAR(36) NOT NULL,
	org_id VARCHAR(36) NOT NULL,
	person_id VARCHAR(36) NOT NULL,
	credential_sha256 VARCHAR(64) NOT NULL,
	browser_text VARCHAR(300) NOT NULL,
	enrolled_at DATETIME NOT NULL,
	revoked_at DATETIME,
	heard_at DATETIME,
	skew_ms BIGINT NOT NULL,
	high BIGINT NOT NULL,
	CONSTRAINT pk_device PRIMARY KEY (id),
	CONSTRAINT fk_device_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id),
	CONSTRAINT fk_device_person_id_person FOREIGN KEY(person_id) REFERENCES person (id),
	CONSTRAINT uq_device_credential_sha256 UNIQUE (credential_sha256)
);
CREATE INDEX ix_device_org_id ON device (org_id);
CREATE INDEX ix_device_person_id ON device (person_id);
CREATE TABLE site (
	id VARCHAR(36) NOT NULL,
	org_id VARCHAR(36) NOT NULL,
	customer_id VARCHAR(36) NOT NULL,
	code VARCHAR(40) NOT NULL,
	name VARCHAR(200) NOT NULL,
	address VARCHAR(300) NOT NULL,
	distance VARCHAR(40) NOT NULL,
	zone VARCHAR(64) NOT NULL,
	access_text VARCHAR(1000) NOT NULL,
	CONSTRAINT pk_site PRIMARY KEY (id),
	CONSTRAINT uq_site_org_id UNIQUE (org_id, code),
	CONSTRAINT fk_site_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id),
	CONSTRAINT fk_site_customer_id_customer FOREIGN KEY(customer_id) REFERENCES customer (id)
);
CREATE INDEX ix_site_customer_id ON site (customer_id);
CREATE TABLE van_stock (
	person_id VARCHAR(36) NOT NULL,
	part_id VARCHAR(36) NOT NULL,
	org_id VARCHAR(36) NOT NULL,
	count INTEGER NOT NULL,
	CONSTRAINT pk_van_stock PRIMARY KEY (person_id, part_id),
	CONSTRAINT fk_van_stock_person_id_person FOREIGN KEY(person_id) REFERENCES person (id),
	CONSTRAINT fk_van_stock_part_id_part FOREIGN KEY(part_id) REFERENCES part (id),
	CONSTRAINT fk_van_stock_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id)
);
CREATE TABLE contact (
	id VARCHAR(36) NOT NULL,
	org_id VARCHAR(36) NOT NULL,
	site_id VARCHAR(36) NOT NULL,
	code VARCHAR(40) NOT NULL,
	name VARCHAR(100) NOT NULL,
	phone VARCHAR(40) NOT NULL,
	role_text VARCHAR(100) NOT NULL,
	language VARCHAR(5) NOT NULL,
	CONSTRAINT pk_contact PRIMARY KEY (id),
	CONSTRAINT uq_contact_org_id UNIQUE (org_id, code),
	CONSTRAINT fk_contact_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id),
	CONSTRAINT fk_contact_site_id_site FOREIGN KEY(site_id) REFERENCES site (id)
);
CREATE INDEX ix_contact_site_id ON contact (site_id);
CREATE TABLE service_request (
	id VARCHAR(36) NOT NULL,
	org_id VARCHAR(36) NOT NULL,
	number VARCHAR(40),
	customer_id VARCHAR(36) NOT NULL,
	site_id VARCHAR(36) NOT NULL,
	contact_id VARCHAR(36) NOT NULL,
	asset_id VARCHAR(36),
	channel VARCHAR(40) NOT NULL,
	reported_at DATETIME NOT NULL,
	CONSTRAINT pk_service_request PRIMARY KEY (id),
	CONSTRAINT uq_service_request_org_id UNIQUE (org_id, number),
	CONSTRAINT fk_service_request_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id),
	CONSTRAINT fk_service_request_customer_id_customer FOREIGN KEY(customer_id) REFERENCES customer (id),
	CONSTRAINT fk_service_request_site_id_site FOREIGN KEY(site_id) REFERENCES site (id),
	CONSTRAINT fk_service_request_contact_id_contact FOREIGN KEY(contact_id) REFERENCES contact (id),
	CONSTRAINT fk_service_request_asset_id_asset FOREIGN KEY(asset_id) REFERENCES asset (id)
);
CREATE INDEX ix_service_request_asset_id ON service_request (asset_id);
CREATE INDEX ix_service_request_contact_id ON service_request (contact_id);
CREATE INDEX ix_service_request_customer_id ON service_request (customer_id);
CREATE INDEX ix_service_request_site_id ON service_request (site_id);
CREATE TABLE work_order (
	id VARCHAR(36) NOT NULL,
	org_id VARCHAR(36) NOT NULL,
	request_id VARCHAR(36) NOT NULL,
	number VARCHAR(40),
	job_type VARCHAR(40) NOT NULL,
	carry JSON NOT NULL,
	CONSTRAINT pk_work_order PRIMARY KEY (id),
	CONSTRAINT uq_work_order_org_id UNIQUE (org_id, number),
	CONSTRAINT fk_work_order_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id),
	CONSTRAINT fk_work_order_request_id_service_request FOREIGN KEY(request_id) REFERENCES service_request (id)
);
CREATE INDEX ix_work_order_request_id ON work_order (request_id);
CREATE TABLE visit (
	id VARCHAR(36) NOT NULL,
	org_id VARCHAR(36) NOT NULL,
	work_order_id VARCHAR(36),
	engineer_id VARCHAR(36),
	appointment_at DATETIME,
	due_at DATETIME,
	arrived_at DATETIME,
	status VARCHAR(20) NOT NULL,
	rev BIGINT NOT NULL,
	conflict_count INTEGER NOT NULL,
	flag_count INTEGER NOT NULL,
	state JSON NOT NULL,
	summary_text TEXT NOT NULL,
	CONSTRAINT pk_visit PRIMARY KEY (id),
	CONSTRAINT fk_visit_org_id_organisation FOREIGN KEY(org_id) REFERENCES organisation (id),
	CONSTRAINT fk_visit_work_order_id_work_order FOREIGN KEY(work_order_id) REFERENCES work_order (id),
	CONSTRAINT fk_visit_engineer_id_person FOREIGN KEY(engineer_id) REFERENCES person (id)
);
CREATE INDEX ix_visit_work_order_id ON visit (work_order_id);
CREATE INDEX visit_of_day ON visit (org_id, appointment_at);
CREATE INDEX visit_of_engineer ON visit (org_id, engineer_id, appointment_at);
