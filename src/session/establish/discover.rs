//! What the BMC can do: asked outside of any session, and never trusted far.

use super::*;

impl Establish {
    pub(super) fn ask_capabilities(
        &mut self,
        now: Instant,
        form: CapabilitiesForm,
        tries: u32,
        generator: &mut Generator,
        out: &mut Outbox,
    ) {
        // The number stays the same over the tries, so that every answer is of use.
        let rq_seq = match self.step {
            Step::Capabilities { rq_seq, form: before, .. } if before == form => rq_seq,
            _ => RqSeq::new(generator.number() as u8),
        };
        let level = match form {
            CapabilitiesForm::V20AtUser => PrivilegeLevel::User,
            _ => self.privilege_level,
        };
        let v2_data = form != CapabilitiesForm::V15;
        let data = channel_authentication_capabilities_request(v2_data, level as u8);
        send_sessionless(rq_seq, cmd::GET_CHANNEL_AUTHENTICATION_CAPABILITIES, &data, out);
        self.step = Step::Capabilities { form, rq_seq, tries };
        self.deadline = if tries == 1 { self.pace.ask(now) } else { self.pace.ask_again(now) };
    }

    pub(super) fn on_message(
        &mut self,
        now: Instant,
        message: &[u8],
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Result<Progress, DropReason> {
        let (message, valid) =
            Message::decode_unchecked(message).map_err(|_| DropReason::Malformed)?;
        let Some((code, data)) = message.completion() else { return Err(DropReason::Malformed) };
        let (expected, rq_seq) = match self.step {
            Step::Capabilities { rq_seq, .. } => {
                (cmd::GET_CHANNEL_AUTHENTICATION_CAPABILITIES, rq_seq)
            }
            Step::CipherSuites { rq_seq, .. } => (cmd::GET_CHANNEL_CIPHER_SUITES, rq_seq),
            _ => return Err(DropReason::Unexpected),
        };
        if message.net_fn != net_fn::APP | 1 || message.cmd != expected || message.rq_seq != rq_seq
        {
            return Err(DropReason::Unexpected);
        }
        // A first wrong checksum may be the line's; a second one is the BMC's habit.
        let wrong_before = std::mem::replace(&mut self.wrong_checksums, !valid);
        if !valid && !wrong_before {
            return Err(DropReason::Malformed);
        }
        match self.step {
            Step::Capabilities { form, tries, .. } => {
                self.on_capabilities(now, (form, tries), code, data, generator, out)
            }
            _ => Ok(self.on_cipher_suites(now, code, data, generator, out)),
        }
    }

    pub(super) fn on_capabilities(
        &mut self,
        now: Instant,
        (form, tries): (CapabilitiesForm, u32),
        code: CompletionCode,
        data: &[u8],
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Result<Progress, DropReason> {
        if code != CompletionCode::SUCCESS {
            let next = match form {
                CapabilitiesForm::V20 => CapabilitiesForm::V20AtUser,
                CapabilitiesForm::V20AtUser => CapabilitiesForm::V15,
                CapabilitiesForm::V15 => {
                    // It does not tell; Open Session will.
                    self.open_session(now, generator, out);
                    return Ok(Progress::Waiting);
                }
            };
            self.ask_capabilities(now, next, tries, generator, out);
            return Ok(Progress::Waiting);
        }
        let capabilities =
            ChannelAuthenticationCapabilities::decode(data).map_err(|_| DropReason::Malformed)?;
        // User name and K_g flags are wrong on several BMCs: only the version counts.
        if capabilities.supports_v2() && self.config.version != Version::V15 {
            self.pace.answered(now);
            self.open_session(now, generator, out);
            return Ok(Progress::Waiting);
        }
        Ok(match self.config.version {
            Version::V20 => self.fail(Cause::Incompatible("the BMC has no IPMI v2.0")),
            Version::V20OrV15 | Version::V15 => Progress::UseV15(capabilities),
        })
    }

    // Get Channel Cipher Suites: only when a suite is met with silence

    pub(super) fn ask_cipher_suites(
        &mut self,
        now: Instant,
        index: u8,
        tries: u32,
        generator: &mut Generator,
        out: &mut Outbox,
    ) {
        let records = match &mut self.step {
            Step::CipherSuites { records, .. } => std::mem::take(records),
            _ => Vec::new(),
        };
        let rq_seq = RqSeq::new(generator.number() as u8);
        let data = channel_cipher_suites_request(index);
        send_sessionless(rq_seq, cmd::GET_CHANNEL_CIPHER_SUITES, &data, out);
        self.step = Step::CipherSuites { index, rq_seq, tries, records };
        self.deadline = self.pace.ask(now);
    }

    pub(super) fn on_cipher_suites(
        &mut self,
        now: Instant,
        code: CompletionCode,
        data: &[u8],
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Progress {
        let Step::CipherSuites { index, records, .. } = &mut self.step else {
            return Progress::Waiting;
        };
        let index = *index;
        let chunk = data.get(1..).filter(|_| code == CompletionCode::SUCCESS).unwrap_or_default();
        // Some servers give the same chunk for every index.
        let repeated = !chunk.is_empty() && records.ends_with(chunk);
        if !repeated {
            records.extend_from_slice(chunk);
        }
        if chunk.len() == CHUNK_LEN && !repeated && index + 1 < CHUNKS_MAX {
            self.ask_cipher_suites(now, index + 1, 1, generator, out);
            return Progress::Waiting;
        }
        self.listed = decode_records(records).0.iter().map(|record| record.id).collect();
        if self.is_listed() {
            return self.restart(now, generator, out);
        }
        // Those that the BMC says it has come first.
        let listed = &self.listed;
        if let Some(untried) = self.suites.get_mut(1..=self.untried) {
            untried.sort_by_key(|id| !listed.contains(id));
        }
        self.skip_silent_suite(now, generator, out)
    }

    pub(super) fn is_listed(&self) -> bool {
        self.listed.contains(&self.cipher_suite())
    }

    /// Puts the suite nobody answered behind the others.
    pub(super) fn skip_silent_suite(
        &mut self,
        now: Instant,
        generator: &mut Generator,
        out: &mut Outbox,
    ) -> Progress {
        if self.untried > 0 {
            self.untried -= 1;
            self.suites.rotate_left(1);
            self.skipped_a_silent_suite = true;
            self.attempts = 0;
            self.silent = 0;
            self.pace.start_over();
        }
        self.restart(now, generator, out)
    }
}
