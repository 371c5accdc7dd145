//! The words that are put around a name so that it looks like a part of its owner's estate.

use aho_corasick::{AhoCorasick, BuildError};

use super::glyphs::light;
use super::text::{MAX_SIGNS, Part};

/// By what they pretend.
const WORDS: &[&str] = &[
    // To be where one logs in, and proves who one is.
    "login logon log signin signon signup sign sso auth oauth oidc saml mfa otp 2fa account accounts acct user users \
     username member members membership customer customers client clients register registration registry enroll enrol \
     enrollment onboard onboarding profile identity identities id ids ident passport password passwd pass passkey \
     session access welcome authenticate authentication authorize authorization authorise",
    // To be the safe place, or where safety is restored.
    "secure secured secureserver security safe safety safeguard ssl tls https http trust trusted trustworthy verify \
     verified verification verifier validate validation valid confirm confirmation confirmed check checkup checker \
     protect protection protected guard shield vault alert alerts warning fraud recover recovery restore reset unlock \
     unblock unlocked suspend suspended limit limited limits resolve resolution case appeal compliance kyc aml cert \
     certs certificate certificates ca pki crl ocsp sign signature attest attestation audit",
    // To be for agents and those who build them.
    "agent agents agentic ai bot bots robot assistant copilot chat chatbot gpt llm model models mcp a2a acp tool tools \
     toolkit skill skills plugin plugins prompt workflow orchestrator runtime sdk api apis dev devs developer developers \
     code console sandbox staging stage test testing beta alpha demo prod production gateway gw proxy relay broker hub \
     cloud server servers node nodes cluster edge host hosting hosted data cdn static assets cache storage drive sync \
     git repo repository registry directory catalog catalogue bundle federation federated domain domains spiffe apki",
    // To be about money.
    "pay pays paid payment payments payout payouts billing bill bills invoice invoices checkout cart order orders \
     purchase refund refunds wallet wallets bank banking card cards credit debit cash money transfer transfers transaction \
     transactions deposit loan loans invest investing investment investor trading trade trader exchange crypto coin token \
     tokens airdrop claim claims reward rewards bonus gift gifts giftcard voucher promo promotion prize winner win offer \
     offers deal deals discount sale sales tax finance financial fund funds pension insurance",
    // To be the owner's site for this or that.
    "www www1 www2 www3 ww ww1 ww2 web website webpage webmail site sites page pages home homepage portal online live \
     internet net app apps application mobile android ios phone desktop download downloads install installer setup \
     update updates updater upgrade patch support help helpdesk desk helpline care service services \
     center centre contact contacts feedback info information about news blog forum community group team teams staff \
     employee employees hr job jobs career careers work partner partners vendor vendors supplier store shop shopping \
     market marketplace outlet official original real genuine my our the new now go get find search view viewer show \
     open start click link links url here direct connect connected connection redirect choose select \
     agree accept summary status report reports review reviews survey document documents doc docs file files share \
     shared sharing message messages msg mail mails email inbox notification notifications notice calendar meeting \
     global world worldwide international int intl usa uk eu europe asia group corp corporate corporation company inc \
     ltd llc gmbh ag co business enterprise pro premium plus vip gold prime blue red green one cl ip tv media music \
     video photo photos travel health medical school academy learn training events event ticket tickets delivery \
     shipping track tracking parcel post express",
    // To be where its owner works.
    "admin admins administrator administration superadmin sysadmin root panel cpanel dashboard backoffice backend manage \
     manager management control controls settings setting config configuration preferences activate activated \
     activation reactivate deactivate enable dispute disputes claims notify notifier key keys keychain secret secrets \
     payroll salary hq headquarters office idp scim directory helpcenter intranet extranet vpn remote citrix sharepoint \
     security securitycheck compliance legal treasury onlinebanking netbanking ebanking mobilebanking renew renewal \
     expired suspension identify identification attester issuer issue request requests response incident ticketing",
    // The same in other languages.
    "anmelden anmeldung konto konten kunde kunden kundenservice sicher sicherheit bezahlen zahlung zahlungen \
     rechnung rechnungen hilfe bestaetigen bestaetigung kontakt verifizierung aktualisierung dienst dienste connexion \
     compte comptes client securite paiement facture aide espace assistance verifier cuenta cuentas clientes seguro \
     seguridad pago pagos ayuda acceso verificar factura servicio servicios conta contas seguranca pagamento acesso \
     ajuda accedi conto cliente sicurezza pagamenti aiuto verifica inloggen rekening klant betalen veilig hulp logowanie \
     konto klient platnosc pomoc bezpieczenstwo",
];

/// Most words around a name: with more there is no telling which part is the name.
const MOST_WORDS: u8 = 3;

/// From so many digits on a number that is joined to a name is a year, or all hours of a day, and no slip.
const LEAST_NUMBER: usize = 2;

/// Finds those words at the edges of a text.
pub(super) struct Words {
    automaton: AhoCorasick,
    /// All of them as they are looked up, sorted.
    sorted: Vec<Vec<u8>>,
}

/// What is left of a text between words at its edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Core {
    /// Where it begins.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// How many words were taken away: at least one.
    pub(super) words: u8,
}

impl Words {
    /// The words above.
    pub(super) fn new() -> Result<Self, BuildError> {
        let words = WORDS.iter().flat_map(|row| row.split_ascii_whitespace());
        let mut sorted: Vec<Vec<u8>> = words.map(|word| word.bytes().map(light).collect()).collect();
        sorted.sort_unstable();
        sorted.dedup();
        Ok(Self { automaton: AhoCorasick::new(&sorted)?, sorted })
    }

    /// Whether this text of light letters is one of the words.
    pub(super) fn has(&self, text: &[u8]) -> bool {
        self.sorted.binary_search_by(|word| word.as_slice().cmp(text)).is_ok()
    }

    /// How few words it takes to get from each place of a text to its start, and to its end. Numbers are words
    /// too; light letters do not show where they are.
    fn reach(&self, text: &[u8], numbers: &[(usize, usize)]) -> ([u8; MAX_SIGNS + 1], [u8; MAX_SIGNS + 1]) {
        let none = MOST_WORDS + 1;
        let (mut from_start, mut to_end) = ([none; MAX_SIGNS + 1], [none; MAX_SIGNS + 1]);
        let at = |n: usize| n.min(MAX_SIGNS);
        from_start[0] = 0;
        to_end[at(text.len())] = 0;
        let words = self.automaton.find_overlapping_iter(text).map(|m| (at(m.start()), at(m.end())));
        let mut found: Vec<_> = words.collect();
        if !numbers.is_empty() {
            found.extend(numbers.iter().map(|(start, end)| (at(*start), at(*end))));
            found.sort_unstable_by_key(|(_, end)| *end);
        }
        // Matches come in the order of their ends, so whatever ends where one starts has come before it.
        for &(start, end) in &found {
            from_start[end] = from_start[end].min(from_start[start] + 1).min(none);
        }
        let mut by_start = found;
        by_start.sort_unstable_by(|a, b| b.cmp(a));
        for (start, end) in by_start {
            to_end[start] = to_end[start].min(to_end[end] + 1).min(none);
        }
        (from_start, to_end)
    }

    /// Every way to take one to three words from the edges of a text of at most [`MAX_SIGNS`] light letters so
    /// that three letters or more are left.
    pub(super) fn cores(&self, text: &[u8], part: Part<'_>) -> Vec<Core> {
        let (from_start, to_end) = self.reach(text, &numbers(part));
        let places = |counts: [u8; MAX_SIGNS + 1]| {
            counts.into_iter().enumerate().filter(|(n, count)| *count <= MOST_WORDS && *n <= text.len())
        };
        let mut cores = Vec::new();
        for (start, before) in places(from_start) {
            for (end, after) in places(to_end) {
                let words = before + after;
                if start + 3 <= end && (1..=MOST_WORDS).contains(&words) {
                    cores.push(Core { start, end, words });
                }
            }
        }
        cores
    }

    /// Whether a text is nothing but words.
    pub(super) fn make_up(&self, text: &[u8]) -> bool {
        !text.is_empty() && text.len() <= MAX_SIGNS && self.reach(text, &[]).1.first().is_some_and(|n| *n <= MOST_WORDS)
    }
}

/// Where digits in a row are a number: set apart by hyphens, or several of them.
fn numbers(part: Part<'_>) -> Vec<(usize, usize)> {
    let mut numbers = Vec::new();
    let mut start = 0;
    for run in part.signs.chunk_by(|a, b| a.seen.is_ascii_digit() == b.seen.is_ascii_digit()) {
        let end = start + run.len();
        let is_apart = part.is_boundary(start) && part.is_boundary(end);
        if run.first().is_some_and(|sign| sign.seen.is_ascii_digit()) && (is_apart || run.len() >= LEAST_NUMBER) {
            numbers.push((start, end));
        }
        start = end;
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::super::text::Text;
    use super::*;
    use proptest::prelude::*;

    fn words() -> Words {
        Words::new().unwrap()
    }

    fn lightly(text: &str) -> Vec<u8> {
        text.bytes().map(light).collect()
    }

    #[test]
    fn takes_words_from_the_edges() {
        let cores = |text: &str| -> Vec<(String, u8)> {
            let cores = words().cores(&lightly(text), Text::of([text].into_iter()).whole());
            cores.iter().map(|core| (text[core.start..core.end].to_owned(), core.words)).collect()
        };
        assert!(cores("paypallogin").contains(&("paypal".into(), 1)));
        assert!(cores("securepaypall0gin").contains(&("paypal".into(), 2)));
        assert!(cores("myhttpspaypalagent").contains(&("paypal".into(), 3)));
        assert!(cores("paypal").contains(&("pal".into(), 1)), "the word is taken away, not known to be the name");
        assert!(
            cores("paypal2026").contains(&("paypal".into(), 1)) && cores("24paypal").contains(&("paypal".into(), 1))
        );
        assert!(!cores("paypal2").contains(&("paypal".into(), 1)), "one digit is a slip of the finger");
        assert_eq!(cores("zzz"), []);
        // What is left has three letters at least.
        assert_eq!(cores("login"), []);
    }

    #[test]
    fn knows_words() {
        let words = words();
        assert!(words.has(&lightly("gateway")) && words.has(&lightly("l0gin")) && !words.has(&lightly("gatewa")));
        assert!(words.make_up(&lightly("securegateway")) && words.make_up(&lightly("agentslogin")));
        assert!(!words.make_up(&lightly("paypal")) && !words.make_up(b""));
    }

    proptest! {
        #[test]
        fn nothing_is_too_strange(text in proptest::collection::vec(any::<u8>(), 0..MAX_SIGNS + 1)) {
            for core in words().cores(&text, Text::default().whole()) {
                prop_assert!(core.start < core.end && core.end <= text.len() && core.words >= 1);
            }
            let _ = words().make_up(&text);
        }
    }
}
