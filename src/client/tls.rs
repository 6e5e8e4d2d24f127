//! Whom TLS trusts. It knows certificates, not requests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::base::exit::Exit;
use crate::base::failure::{Failure, OrFail as _, Result};

/// Whom to trust, by rising cost of finding out.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// The bundled Mozilla roots and, only when those do not know an issuer, the platform's store.
    #[default]
    Bundled,
    /// The platform's store.
    Platform,
    /// These certificates alone (`--ca-file`, `SSL_CERT_FILE`, `SSL_CERT_DIR`).
    Only(Arc<Vec<Certificate<'static>>>),
}

impl Trust {
    /// Reads the certificates of these files and of the files in this directory.
    ///
    /// # Errors
    /// A file cannot be read, or holds no certificate.
    pub fn only(files: &[PathBuf], directory: Option<&Path>) -> Result<Self> {
        let mut certificates = Vec::new();
        for file in files {
            let found = certificates_in(file)?;
            if found.is_empty() {
                return Err(Failure::new(Exit::Config, format!("{}: no certificate in it", file.display())));
            }
            certificates.extend(found);
        }
        if let Some(directory) = directory {
            let entries = std::fs::read_dir(directory);
            let entries = entries.or_fail(Exit::Config, || format!("SSL_CERT_DIR {}", directory.display()))?;
            for entry in entries.flatten().filter(|entry| entry.path().is_file()) {
                certificates.extend(certificates_in(&entry.path()).unwrap_or_default());
            }
        }
        Ok(Self::Only(Arc::new(certificates)))
    }

    /// The settings of the TLS library.
    pub(super) fn config(&self) -> TlsConfig {
        let roots = match self {
            Self::Bundled => RootCerts::WebPki,
            Self::Platform => RootCerts::PlatformVerifier,
            Self::Only(certificates) => RootCerts::Specific(Arc::clone(certificates)),
        };
        TlsConfig::builder().root_certs(roots).build()
    }
}

fn certificates_in(file: &Path) -> Result<Vec<Certificate<'static>>> {
    let pem = std::fs::read(file).or_fail(Exit::Config, || file.display().to_string())?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    Ok(parse_pem(&pem).filter_map(certificate).collect())
}
