-- Creates the role of the service and its database for compose.yaml. The image of PostgreSQL runs
-- this file with psql, as its superuser, when the volume is empty.
-- The role owns its database and has no other right.
\set ON_ERROR_STOP on
\set password `cat "$SERVICE_PASSWORD_FILE"`
CREATE ROLE course_management LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'password';
CREATE DATABASE course_management OWNER course_management ENCODING 'UTF8' LOCALE 'C.UTF-8' TEMPLATE template0;
REVOKE ALL ON DATABASE course_management FROM PUBLIC;
